import type { PermissionChange } from '../report.ts';

type OnChange = (change: PermissionChange) => void;

/** Callbacks that want to hear of few changes. */
const selective = new WeakSet<OnChange>();

/**
 * Mark an `onChange` that only has to be called for files with more than one name and for links: each call costs the building of a
 * path. May be called at any time.
 *
 * @internal
 */
export function tellFew(onChange: OnChange): void {
  selective.add(onChange);
}

/** Whether it has to be called for every change. */
export function wantsAll(onChange: OnChange | undefined): boolean {
  return onChange !== undefined && !selective.has(onChange);
}
