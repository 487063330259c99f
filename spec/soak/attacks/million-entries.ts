import { appendFileSync, chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, readManifest } from '../../../lib/index.ts';
import { extent } from '../../helpers/extent.ts';
import { attackedPasses, type TestedPass } from '../../helpers/passes.ts';
import { addToTree, modeOf, tempDirectory } from '../../helpers/tree.ts';
import { inMiB, type Result, underWatch } from '../attack.ts';
import { peakOf } from '../peak.ts';

const ENTRIES = extent({ short: 20_000, full: 1_000_000 });
/** 20 directories in one another: 210 characters that every path begins with. */
const DEPTH = 20;
const prefix = Array.from({ length: DEPTH }, (_, level) => `directory${level}`).join('/');
/** Entries that are there, and globs that name ten times as many. */
const THERE = 1000;
const executable = ['?', '??', '???', '????'].map((number) => `**/f${number}`);
/** What a pass may need beyond the manifest, which the caller holds. */
const MAX_MEMORY = 200 << 20;
/** What reading may need beyond the text, which is there twice while it is read. */
const MAX_READING_MEMORY = 300 << 20;

/** Lines that are written at once. */
const AT_ONCE = 10_000;

/**
 * A manifest of a million entries that all have one long prefix. It is read, and a pass ends with the right counts and
 * needs no more memory than is in proportion. It is read once: that takes longer than a pass of every backend.
 */
export function millionEntries(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    const root = tempDirectory();
    const there = Array.from({ length: THERE }, (_, index) => `${prefix}/f${index}`);
    addToTree(root, Object.fromEntries(there.map((path) => [path, 0o644])));
    const source = join(tempDirectory(), 'list');
    writeList(source);
    const textLength = statSync(source).size;
    let manifest: Manifest | undefined;
    const reading = await peakOf(async () => {
      manifest = await readManifest(source);
    });
    watch.must(reading < MAX_READING_MEMORY + 2 * textLength, `reading needs ${inMiB(reading)}`);
    watch.must(manifest?.entries.length === ENTRIES, `${manifest?.entries.length} entries`);
    const options = { manifest, executable, verify: 'none', strict: false, retry: false } as const;
    let most = 0;
    let rounds = 0;
    const round = async (number: number) => {
      rounds += 1;
      const { apply, backend } = attackedPasses[number % attackedPasses.length] as TestedPass;
      for (const path of there) chmodSync(join(root, path), 0o644);
      const pass = await peakOf(async () => {
        const { counts, unresolved } = await apply(root, options);
        watch.must(counts.changed === THERE, `${backend}: changed ${counts.changed}`);
        watch.must(counts.visited === THERE + DEPTH + 1, `${backend}: visited ${counts.visited}`);
        watch.must(unresolved.length === 9 * THERE, `${backend}: ${unresolved.length} are missing`);
      });
      watch.must(modeOf(root, there[0] as string) === 0o755, `${backend}: not effective`);
      watch.must(pass < MAX_MEMORY, `${backend}: a pass needs ${inMiB(pass)} beyond the manifest`);
      most = Math.max(most, pass);
    };
    await watch.rounds(seconds, round, () => rounds >= attackedPasses.length);
    const needs = `reading needs ${inMiB(reading)}, a pass ${inMiB(most)} beyond the manifest`;
    watch.figure(`${inMiB(textLength)} of text: ${needs}`);
  });
}

function writeList(path: string): void {
  for (let from = 0; from < ENTRIES; from += AT_ONCE) {
    let lines = '';
    for (let index = from; index < from + AT_ONCE; index += 1) lines += `${prefix}/f${index}\n`;
    appendFileSync(path, lines);
  }
}
