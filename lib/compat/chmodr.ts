import type { Stats } from 'node:fs';
import { basename, dirname } from 'node:path';
import { conclude, runSettings } from '../apply.ts';
import { Ledger } from '../ledger.ts';
import { resolveOptions, type Settings } from '../options.ts';
import { Plan } from '../plan.ts';
import { joinPath } from '../root/names.ts';
import { openRoot } from '../root/open.ts';
import { errorCode } from '../root/root.ts';
import { Visit } from '../visit/visit.ts';

/**
 * The function `chmodr` of chmodr 2: every file below a path gets this mode, every directory gets it with x where it has
 * r. If the path is a file, it gets the mode itself.
 *
 * On a tree without links the result is chmodr's. It never follows or changes a link; chmodr changes what a link leads to,
 * and fails on one that dangles. It never changes FIFOs, sockets and devices.
 *
 * @param mode 0 to 0o777, or the same as octal digits in a string (`'644'`)
 * @throws TypeError if the mode is missing or anything else, before anything is changed
 * @throws RangeError for setuid, setgid or sticky bits and for `/`, ENOENT if the path does not exist
 * @throws UnresolvedEntriesError if something could not be changed, after everything else is done
 */
export async function chmodr(path: string, mode: number | string): Promise<void> {
  const wanted = parseMode(mode);
  const settings = resolveSettings(path, wanted);
  try {
    await runSettings(path, settings, openRoot);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    chmodFile(path, wanted);
  }
}

/** As {@link chmodr}, but synchronous. It retries nothing. */
export function chmodrSync(path: string, mode: number | string): void {
  const wanted = parseMode(mode);
  const settings = resolveSettings(path, wanted);
  try {
    applySync(path, settings);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    chmodFile(path, wanted);
  }
}

/** The mode as a number. A string is octal, as it is for `fs.chmod`. */
function parseMode(mode: unknown): number {
  if (typeof mode === 'number' && Number.isInteger(mode)) return mode;
  if (typeof mode === 'string' && /^[0-7]{1,4}$/.test(mode)) return Number.parseInt(mode, 8);
  const got =
    typeof mode === 'string' ? JSON.stringify(mode) : typeof mode === 'object' ? 'an object' : String(mode);
  throw new TypeError(
    `mode: expected a number (0o644) or octal digits ('644'), got ${mode === null ? 'null' : got}`,
  );
}

/** Like chmodr, enter mount points and leave no special bits on directories. */
function resolveSettings(path: string, mode: number): Settings {
  const settings = resolveOptions(path, { mode, crossDevice: true });
  return { ...settings, modeRule: (_, isDirectory) => (isDirectory ? mode | ((mode & 0o444) >> 2) : mode) };
}

/** A pass without a manifest, in one go. */
function applySync(path: string, settings: Settings): void {
  const started = performance.now();
  const root = openRoot(path);
  const ledger = new Ledger(settings.maxEntries);
  try {
    const visit = new Visit(root, settings, new Plan(settings), ledger);
    const directories = ['.'];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      for (const entry of visit.enter(directory)) {
        const below = joinPath(directory, entry.name);
        if (!entry.isDirectory()) visit.visit(below, entry);
        else if (visit.descend(below)) directories.push(below);
      }
    }
    for (const _ of visit.endings());
    for (const _ of ledger.giveUp());
  } finally {
    root.close();
  }
  conclude(path, root, ledger, settings, { rounds: 0, recovered: 0, waitedMs: 0 }, started);
}

/** Change one file, through its directory. */
function chmodFile(path: string, mode: number): void {
  const root = openRoot(dirname(path));
  try {
    root.chmod(basename(path), (found: Stats) => (found.isFile() ? mode : undefined));
  } finally {
    root.close();
  }
}
