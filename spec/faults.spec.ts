import { createHash } from 'node:crypto';
import { chmodSync, existsSync, linkSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import 'p-retry';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Tree } from '../lib/directory/tree.ts';
import type { UnresolvedReason } from '../lib/errors.ts';
import type { ApplyOptions } from '../lib/options.ts';
import { runPass } from '../lib/pass/apply.ts';
import type { PermissionReport } from '../lib/report.ts';
import { extent } from './helpers/extent.ts';
import { type FaultCode, faultCodes, watchCalls } from './helpers/faults.ts';
import { makeFifo } from './helpers/fifo.ts';
import { allPasses, lentPass, reasonsOf } from './helpers/passes.ts';
import { canRunOn } from './helpers/runtime.ts';
import { makeTree, modesBelow, type TreeShape } from './helpers/tree.ts';

const transient: ReadonlySet<FaultCode> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ESTALE', 'EBUSY', 'EINTR']);
/** An entry that is not there any more: waited for where the manifest names it, else no error. */
const gone: ReadonlySet<FaultCode> = new Set(['ENOENT', 'ENOTDIR']);
const retry = { retries: 3, minTimeout: 0, maxTimeout: 0, randomize: false };
/** Each code is of one call in so many, the next code of the call before; something is exchanged before one call in so many. */
const STRIDE = extent({ short: 23, full: 3 });
const manifest = ['a/f', 'a/d/g', 'a/d/l', 'b/h', 'b/pipe', 'c/'];

const shape: TreeShape = {
  'a/f': 0o600,
  'a/d/g': '#!/bin/sh\n',
  'a/d/l': '-> ../f',
  'a/up': '-> ../b/h',
  'b/h': 0o600,
  'b/gone': '-> nowhere',
  'b/out': '-> ../../outside',
  'c/': 0o700,
};
/** The same, with the digests of the files. */
const digested = manifest.map((path) => {
  if (typeof shape[path] === 'number' && path.endsWith('/')) return path;
  const content = shape[path] === 0o600 ? '' : (shape[path] as string | undefined);
  if (content === undefined || content.startsWith('->')) return path;
  return { path, digest: { algorithm: 'sha256', value: createHash('sha256').update(content).digest('hex') } };
});
/** What is looked at to find out where a link leads, beside what lies above it. */
const passedByLinks: Record<string, string[]> = {
  'a/d/l': ['a/f'],
  'a/up': ['b', 'b/h'],
  'b/gone': ['b/nowhere'],
};
const variants: Record<string, ApplyOptions> = {
  'a walk': { mode: 'go+r' },
  'a walk that closes directories': { mode: 'go=r' },
  'a walk that looks into files': { detect: true },
  'a dry run': { mode: 'go=r', dryRun: true },
  'a manifest': { mode: 'go+r', manifest },
  'a manifest that only has to be there': { verify: 'presence', manifest },
  'a manifest and a walk': { mode: 'go+r', manifest, discover: true },
  'a manifest whose contents are verified': { mode: 'go+r', manifest: digested, verify: 'content' },
  'a walk that lists what no manifest names': { mode: 'go+r', manifest, unlisted: 'list' },
};

const lentVariants = ['a walk that looks into files', 'a manifest'];

/** What another process may do in the middle of a pass. */
const swaps = [
  ['a', 'link'],
  ['a', 'FIFO'],
  ['a/f', 'link'],
  ['a/f', 'FIFO'],
  ['a/d/l', 'FIFO'],
] as const;

/** Deeper than directories are held open. */
const deepShape: TreeShape = {};
for (let path = 'd', depth = 0; depth < 28; depth += 1, path += '/d') deepShape[`${path}/f`] = 0o600;

/** What one pass came to. */
interface Outcome {
  report?: PermissionReport;
  error?: unknown;
  modes: Record<string, string>;
  /** Mode of each path before its first change that was told, and after its last. */
  told: Record<string, [from: string, to: string]>;
  /** Calls that were made until the root was open; 0 where it was never open. */
  opening: number;
}

/** An undisturbed pass. */
interface Undisturbed extends Outcome {
  report: PermissionReport;
  before: Record<string, string>;
  /** Everything in the tree. */
  paths: readonly string[];
}

/** One fault, and what was hit by it. */
interface Fault {
  code: FaultCode;
  /** Path below the root that the call was made for. */
  hit: string;
  hasManifest: boolean;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : error);
const isWithin = (directory: string, path: string): boolean =>
  directory === '.' || path === directory || path.startsWith(`${directory}/`);

function setModes(root: string, modes: Record<string, string>): void {
  for (const [path, mode] of Object.entries(modes)) chmodSync(join(root, path), Number.parseInt(mode, 8));
}

function expectedReasons(code: FaultCode): UnresolvedReason[] {
  if (code === 'EACCES' || code === 'EPERM') return ['permission-denied'];
  if (code === 'EROFS') return ['read-only'];
  // ELOOP is what opening says of a link that was put in place of the entry.
  return code === 'ELOOP' ? ['io-error', 'unsafe-path'] : ['io-error'];
}

/** What is wrong with the outcome of a pass in which one call failed. Nothing, as a rule. */
function* wrongs(fault: Fault, whole: Undisturbed, outcome: Outcome): Generator<string> {
  const { report, error } = outcome;
  if (report !== undefined) return yield* wrongsOf(fault, whole, outcome, report);
  const isRetried = fault.hasManifest && (fault.code === 'ENOENT' || transient.has(fault.code));
  if (outcome.opening > 0 || isRetried || codeOf(error) !== fault.code) yield `rejects: ${error}`;
  if (!isEqual(outcome.modes, whole.before)) yield 'changed something, and rejects';
}

function* wrongsOf(
  { code, hit }: Fault,
  whole: Undisturbed,
  { modes, told }: Outcome,
  report: PermissionReport,
): Generator<string> {
  const { counts, links, unresolved } = report;
  const named = unresolved.map(({ path }) => path);
  const isHit = (path: string) => isWithin(hit, path) || passedByLinks[path]?.some((one) => one === hit);
  const otherLinks = (report: PermissionReport) => report.links.filter(({ path }) => !isHit(path));
  const wrongModes = Object.keys(whole.modes).filter((path) => modes[path] !== whole.modes[path]);
  if (transient.has(code) || (named.length === 0 && counts.vanished === 0)) {
    if (named.length > 0) yield `is not recovered: ${reasonsOf({ unresolved })}`;
    if (wrongModes.length > 0) yield `wrong modes, and nothing is said: ${wrongModes}`;
    if (!isEqual(counts, whole.report.counts))
      yield `wrong counts: ${difference(counts, whole.report.counts)}`;
    if (!isEqual(told, whole.told)) yield `wrong changes told: ${difference(told, whole.told)}`;
    // Where a link leads cannot be known where a directory on the way may not be searched.
    const isSame = code !== 'EACCES' && isEqual(links, whole.report.links);
    if (!isSame && !isEqual(otherLinks(report), otherLinks(whole.report)))
      yield `wrong links: ${JSON.stringify(links)}`;
    return;
  }
  if (gone.has(code) && named.length > 0) yield `is not waited for: ${reasonsOf({ unresolved })}`;
  for (const { path, reason, code: shown } of unresolved) {
    const isCode = shown === code || reason === 'unsafe-path';
    if (!gone.has(code) && !(isCode && expectedReasons(code).includes(reason)))
      yield `${path}: ${reason}, ${shown}`;
  }
  const touched = [...new Set([...named, ...wrongModes])];
  const strange = touched.filter((path) => !isHit(path));
  if (strange.length > 0) yield `reaches what was not hit: ${strange}`;
  // One entry is at fault, and what is below it. The report does not name what is gone.
  const top = touched.find((path) => touched.every((other) => isWithin(path, other)));
  if (top === undefined && counts.vanished === 0) yield `reaches further than one entry: ${touched}`;
  const scope = (counts.vanished === 0 ? top : undefined) ?? hit;
  const below = whole.paths.filter((path) => path !== scope && isWithin(scope, path));
  const missed = whole.report.counts.visited - counts.visited - counts.vanished - named.length;
  if (missed < 0 || missed > below.length) yield `${missed} entries count nowhere`;
  if (!isEqual(otherLinks(report), otherLinks(whole.report))) yield `wrong links: ${JSON.stringify(links)}`;
}

/** How many descriptors are open, where the system tells. */
function openDescriptors(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0;
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Keys that have another value, with both. */
function difference(one: object, other: object): string {
  const values = new Map<string, unknown>(Object.entries(one));
  const others = new Map<string, unknown>(Object.entries(other));
  const keys = [...new Set([...values.keys(), ...others.keys()])];
  return keys
    .filter((key) => !isEqual(values.get(key), others.get(key)))
    .map((key) => `${key} ${values.get(key)}, not ${others.get(key)}`)
    .join('; ');
}

const canCount = canRunOn(['node', 'bun'], 'it opens descriptors of its own at any time');

// Native calls fail in a spec of their own.
const watchable = allPasses.filter(({ backend }) => backend !== 'native');

for (const { backend, title, openTree: open } of watchable) {
  const test = suite(`faults (${title})`);
  let watched: ReturnType<typeof watchCalls>;
  test.before(() => {
    watched = watchCalls();
  });
  test.after(() => watched.restore());

  async function run(
    root: string,
    options: ApplyOptions,
    position?: number,
    event?: FaultCode | (() => void),
  ): Promise<Outcome> {
    const outcome: Outcome = { modes: {}, told: {}, opening: 0 };
    const opened = (path: string): Tree => {
      const held = open(path);
      outcome.opening ||= watched.calls.length;
      return held;
    };
    const onChange: ApplyOptions['onChange'] = ({ path, from, to, linkTarget }) => {
      const [before, after] =
        linkTarget === undefined ? [from.toString(8), to.toString(8)] : ['', linkTarget];
      outcome.told[path] = [outcome.told[path]?.[0] ?? before, after];
    };
    const all: ApplyOptions = { umask: 0o022, retry, strict: false, onChange, ...options };
    watched.begin(position, event);
    try {
      outcome.report = await runPass(root, all, opened);
    } catch (error) {
      outcome.error = error;
    } finally {
      watched.end();
    }
    outcome.modes = modesBelow(root);
    return outcome;
  }

  /** What is wrong with passes over a tree in which each call fails once with each of the codes. */
  async function* faultsIn(
    root: string,
    options: ApplyOptions,
    codes: readonly FaultCode[],
  ): AsyncGenerator<string> {
    const before = modesBelow(root);
    const paths = ['.', ...readdirSync(root, { recursive: true, encoding: 'utf8' })];
    // A runtime may load what a pass imports through node:fs: by the second pass it is there.
    await run(root, options);
    setModes(root, before);
    const undisturbed = await run(root, options);
    const { report } = undisturbed;
    if (report?.ok !== true) throw new Error(`unresolved without any fault: ${report && reasonsOf(report)}`);
    const descriptors = openDescriptors();
    const workingDirectory = process.cwd();
    const whole: Undisturbed = { ...undisturbed, report, before, paths };
    const calls = watched.calls.length;
    for (let position = 0; position < calls; position += 1) {
      for (const [index, code] of codes.entries()) {
        if ((position + index) % STRIDE !== 0) continue;
        setModes(root, before);
        const outcome = await run(root, options, position, code);
        // Not the call of the undisturbed pass: where slices end, and how long the table of mounts is, differs.
        const failed = watched.calls[position];
        if (failed === undefined) continue;
        const { name, path } = failed;
        const hit = relative(root, path) || '.';
        const fault = { code, hit, hasManifest: options.manifest !== undefined };
        const said = `${code} from ${name} of ${hit} (call ${position})`;
        for (const wrong of wrongs(fault, whole, outcome)) yield `${said}: ${wrong}`;
        if (watched.leaked.length > 0) yield `${said}: left open: ${watched.leaked}`;
        if (process.cwd() !== workingDirectory) yield `${said}: leaves the process in ${process.cwd()}`;
      }
    }
    const left = canCount ? openDescriptors() - descriptors : 0;
    if (left > 0) yield `${left} descriptors more than before`;
  }

  async function assertBears(
    root: string,
    options: ApplyOptions,
    codes: readonly FaultCode[] = faultCodes,
  ): Promise<void> {
    const found: string[] = [];
    for await (const wrong of faultsIn(root, options, codes)) found.push(wrong);
    assert.is(found.join('\n'), '');
  }

  for (const [name, options] of Object.entries(variants)) {
    // From its own directory a process makes the same calls and one more: these two make all of them.
    if (title === lentPass.title && !lentVariants.includes(name)) continue;
    test(`each call fails once in ${name}: what was hit is named, the rest is done, nothing leaks`, async () => {
      const root = makeTree(shape);
      makeFifo(join(root, 'b/pipe'));
      await assertBears(root, options);
    });
  }

  const closing: Record<string, ApplyOptions> = {
    'a walk': { mode: 'go=r' },
    'a manifest': { mode: 'go=r', manifest: [...manifest, 'a/'] },
  };
  for (const [name, options] of Object.entries(closing)) {
    for (const [index, [path, by]] of swaps.entries()) {
      test(`${path} is exchanged for a ${by} before each call of ${name}: it is left alone`, async () => {
        const outside = makeTree({ f: 0o600, 'd/g': 0o600 });
        makeFifo(join(outside, 'pipe'));
        // A mode that every change would be seen in.
        chmodSync(join(outside, 'pipe'), 0o700);
        const before = modesBelow(outside);
        const still = makeTree(shape);
        const { opening } = await run(still, options);
        let calls = watched.calls.length;
        assert.ok(calls > opening);
        for (let position = opening + (index % STRIDE); position < calls; position += STRIDE) {
          const root = makeTree(shape);
          const full = join(root, path);
          const { report, error } = await run(root, options, position, () => {
            rmSync(full, { recursive: true });
            if (by === 'FIFO') linkSync(join(outside, 'pipe'), full);
            else symlinkSync(outside, full);
          });
          calls = Math.max(calls, watched.calls.length);
          const said = `before call ${position}, ${watched.calls[position]?.name}`;
          assert.is(error, undefined, said);
          assert.equal(modesBelow(outside), before, said);
          const { changed = 0, unchanged = 0, links = 0, special = 0, visited } = report?.counts ?? {};
          assert.is(visited, changed + unchanged + links + special, said);
          assert.equal(watched.leaked, [], said);
          rmSync(root, { recursive: true });
        }
      });
    }
  }

  // Only the anchored backend closes directories on the way and opens them again.
  if (backend === 'anchored' && (title === backend || extent({ short: false, full: true }))) {
    test('each call fails once in a tree deeper than directories are held open', async () => {
      await assertBears(makeTree(deepShape), { mode: 'go=r' }, ['ENOENT', 'EIO', 'EMFILE']);
    });
  }

  test.run();
}
