import { Buffer } from 'node:buffer';
import type { EntryFacts } from '../errors.ts';
import type { Finding, Ledger } from '../ledger.ts';
import type { Settings } from '../options.ts';
import type { Plan } from '../plan.ts';
import type { PlannedEntry } from '../planned.ts';
import { type LinkResolution, resolveLink } from '../root/links.ts';
import { encodeName } from '../root/names.ts';
import { errorCode, type Root } from '../root/root.ts';
import { expectedFacts, type Findings } from './findings.ts';

/** Deals with links, which are never changed and never followed: what they are, and where they lead. */
export class Links {
  readonly #root: Root;
  readonly #settings: Settings;
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #findings: Findings;
  readonly #lookAgain: (path: string, planned: PlannedEntry | undefined) => void;
  /** Links that dangle and that nothing waits for, to be looked at once more at the end. */
  readonly #dangling = new Map<string, PlannedEntry | undefined>();

  /** @param lookAgain called for what is no link or no file any more */
  constructor(
    root: Root,
    settings: Settings,
    plan: Plan,
    ledger: Ledger,
    findings: Findings,
    lookAgain: (path: string, planned: PlannedEntry | undefined) => void,
  ) {
    this.#root = root;
    this.#settings = settings;
    this.#plan = plan;
    this.#ledger = ledger;
    this.#findings = findings;
    this.#lookAgain = lookAgain;
  }

  /** Look once more at the links that dangled and that nothing waited for. */
  *endings(): Generator<void> {
    for (const [path, planned] of this.#dangling) {
      this.#dangling.delete(path);
      this.#closeLink(path, planned);
      yield;
    }
  }

  #closeLink(path: string, planned: PlannedEntry | undefined): void {
    try {
      const target = this.#root.readlink(path);
      if (this.#isOther(path, planned, target)) return;
      this.#endLink(path, planned, target, resolveLink(this.#root, path, target));
    } catch (error) {
      this.#readFailed(path, planned, error);
    }
  }

  /** A file where the manifest has a link: the link's text as its content is what many extractors leave. */
  flattened(path: string, planned: PlannedEntry): void {
    const { linkTarget } = planned;
    if (linkTarget === undefined) return this.#findings.mismatch(path, planned, { type: 'file' });
    try {
      const expected = encodeName(linkTarget);
      const content = this.#root.read(path, Buffer.byteLength(expected) + 1);
      if (!Buffer.from(expected).equals(content))
        return this.#findings.mismatch(path, planned, { type: 'file' });
      const facts: Finding = {
        reason: 'link-flattened',
        expected: expectedFacts(planned),
        actual: { type: 'file', size: content.length },
        target: linkTarget,
      };
      this.#ledger.fail(path, planned, facts);
    } catch (error) {
      this.#readFailed(path, planned, error);
    }
  }

  /** Deal with a link. */
  link(path: string, planned: PlannedEntry | undefined): void {
    try {
      const target = this.#root.readlink(path);
      const actual: EntryFacts = { type: 'symlink', linkTarget: target };
      if (planned?.type === 'file' || planned?.type === 'directory')
        return this.#findings.mismatch(path, planned, actual);
      if (this.#isOther(path, planned, target)) return;
      this.#followLink(path, planned, target);
    } catch (error) {
      this.#readFailed(path, planned, error);
    }
  }

  /** True for a link that points elsewhere than the manifest says, which has been noted. */
  #isOther(path: string, planned: PlannedEntry | undefined, target: string): boolean {
    if (planned?.linkTarget === undefined || planned.linkTarget === target) return false;
    if (this.#settings.verify === 'none') return false;
    const actual: EntryFacts = { type: 'symlink', linkTarget: target };
    const expected = expectedFacts(planned);
    this.#ledger.fail(path, planned, { reason: 'link-mismatch', expected, actual, target });
    return true;
  }

  #followLink(path: string, planned: PlannedEntry | undefined, target: string): void {
    const resolution = resolveLink(this.#root, path, target);
    const { kind } = resolution;
    // What cannot be looked at yet may lie in a directory that is still to be opened.
    const isOpen = kind === 'dangling' || kind === 'loop' || kind === 'unknown';
    if (!isOpen || (this.#settings.danglingLinks === 'skip' && kind !== 'unknown')) {
      return this.#listLink(path, planned, target, resolution);
    }
    const awaited = this.#awaited(resolution);
    if (kind === 'unknown' || (awaited === undefined && !mustLead(planned))) {
      // Nothing that is promised can mend it, so nothing waits for it.
      this.#dangling.set(path, planned);
      if (planned !== undefined) this.#ledger.arrived(planned);
      return;
    }
    const finding = danglingLink(target, resolution);
    const isHopeless =
      resolution.kind === 'loop' || (awaited !== undefined && this.#ledger.unresolved.has(awaited.path));
    if (isHopeless) this.#ledger.fail(path, planned, finding);
    else this.#ledger.wait(planned ?? this.#findings.walk(path, 'symlink'), finding);
  }

  /** What the manifest names in the place that a link dangles to. */
  #awaited(resolution: LinkResolution): PlannedEntry | undefined {
    return resolution.kind === 'dangling' ? this.#plan.find(resolution.missing) : undefined;
  }

  /** What becomes at the end of a link that nothing waited for. */
  #endLink(
    path: string,
    planned: PlannedEntry | undefined,
    target: string,
    resolution: LinkResolution,
  ): void {
    const { danglingLinks } = this.#settings;
    const leadsNowhere = resolution.kind === 'dangling' || resolution.kind === 'loop';
    // It may have been made anew since it was looked at first, and lead to what did not come.
    const isPromised = mustLead(planned) || this.#awaited(resolution) !== undefined;
    if (leadsNowhere && (danglingLinks === 'error' || (danglingLinks === 'defer' && isPromised))) {
      this.#ledger.fail(path, planned, danglingLink(target, resolution));
    } else {
      this.#listLink(path, planned, target, resolution);
    }
  }

  #listLink(
    path: string,
    planned: PlannedEntry | undefined,
    target: string,
    resolution: LinkResolution,
  ): void {
    const { kind } = resolution;
    if (kind !== 'inside' && kind !== 'unknown') this.#ledger.links.set(path, { path, target, kind });
    this.#ledger.end(planned, 'links');
  }

  /** Reading says EINVAL or ELOOP of what is no file or no link any more. */
  #readFailed(path: string, planned: PlannedEntry | undefined, error: unknown): void {
    const code = errorCode(error);
    if (code === 'EINVAL' || code === 'ELOOP') this.#lookAgain(path, planned);
    else this.#findings.failed(path, planned, error);
  }
}

/** What is listed without a type may be anything but a link that dangles. */
function mustLead(planned: PlannedEntry | undefined): boolean {
  return planned?.origin === 'listed' && planned.type === undefined;
}

function danglingLink(target: string, resolution: LinkResolution): Finding {
  const code = resolution.kind === 'loop' ? 'ELOOP' : 'ENOENT';
  return { reason: 'dangling-link', code, target, actual: { type: 'symlink', linkTarget: target } };
}
