/**
 * Writes the files of a tree evenly over a while, as an extractor does that returned early; prints the nanosecond of the
 * system's monotonic clock at which it began, and at which the last one was there.
 *
 *     node arrive.mjs <listing.json> <root> <milliseconds>
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { TreeEntry } from '../trees/entries.ts';

const [listing = '', root = '', milliseconds = ''] = process.argv.slice(2);
const entries: TreeEntry[] = JSON.parse(readFileSync(listing, 'utf8'));
const total = Number(milliseconds);

function write({ path, type, size, target = '' }: TreeEntry): void {
  const full = join(root, path);
  if (type === 'directory') mkdirSync(full, { recursive: true });
  else if (type === 'link') symlinkSync(target, full);
  else {
    const file = openSync(full, 'wx', 0o644);
    ftruncateSync(file, size);
    closeSync(file);
  }
}

process.stdout.write(`${process.hrtime.bigint()}\n`);
const started = performance.now();
for (const [index, entry] of entries.entries()) {
  while ((performance.now() - started) / total < index / entries.length) await setTimeout(1);
  write(entry);
}
process.stdout.write(`${process.hrtime.bigint()}\n`);
