import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { decodeName } from '../../lib/directory/names.ts';
import type { ManifestEntry } from '../../lib/manifest/manifest.ts';
import { runtime } from './runtime.ts';
import { tempDirectory } from './tree.ts';

/** Something in a tree whose names are any bytes that a name can have. */
export interface BytePlant {
  readonly name: Buffer;
  readonly kind: 'file' | 'link' | 'directory' | 'second name';
  readonly mode: number;
  /** Content of a file, or text of a link. */
  readonly text: Buffer;
  readonly entries: readonly BytePlant[];
}

const hostile = [...'#\\=*?[]!/set /unset . \t\n\r"\'~^-%&$|<>'].map((character) => character.charCodeAt(0));
const byte = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0x61, max: 0x7a }) },
  { weight: 2, arbitrary: fc.constantFrom(...hostile) },
  // Deno has no names that are not UTF-8.
  { weight: 2, arbitrary: fc.integer({ min: 1, max: runtime === 'deno' ? 0x7e : 0xff }) },
);
const bytes = (maxLength: number) =>
  fc.array(byte, { minLength: 1, maxLength }).map((all) => Buffer.from(all));
const special = ['..x', '.x', '/set', '#mtree', 'type=file', 'optional', 'é', '文', '\u202e', '[id].js'];
/** Names, none of which is `.`, `..`, a drive's, or has a slash. */
const name = fc
  .oneof(
    bytes(8).map((all) => Buffer.from(all.filter((one) => one !== 0x2f))),
    fc.constantFrom(...special).map((text) => Buffer.from(text.replace('/', ''))),
  )
  .filter((all) => !/^(?:|\.|\.\.|[A-Za-z]:)$/.test(all.toString('latin1')));

/** Nothing that an owner could not look into: the specs run without root, too. */
const mode = fc.constantFrom(0o644, 0o755, 0o600, 0o640, 0o777, 0o700);

function plants(levels: number): fc.Arbitrary<BytePlant[]> {
  const kind = fc.constantFrom<BytePlant['kind'][]>('file', 'file', 'link', 'second name', 'directory');
  const plant = fc.record({
    name,
    kind: levels > 0 ? kind : kind.filter((one) => one !== 'directory'),
    mode,
    text: bytes(12),
    entries: levels > 0 ? plants(levels - 1) : fc.constant([]),
  });
  return fc.uniqueArray(plant, {
    maxLength: 4,
    // A file system may take names that are not UTF-8 for the same.
    selector: (one) => one.name.toString('latin1'),
  });
}

/** Random trees of files, links, directories and second names, without anything that a manifest cannot hold. */
export const byteTrees = plants(2);

/** Make such a tree in a new directory. */
export function plantBytes(entries: readonly BytePlant[]): string {
  const root = tempDirectory();
  chmodSync(root, 0o755);
  let last: Buffer | undefined;
  const plantIn = (directory: Buffer, all: readonly BytePlant[]): void => {
    for (const { name: own, kind, mode: wanted, text, entries: below } of all) {
      const path = Buffer.concat([directory, Buffer.from('/'), own]);
      if (kind === 'second name' && last !== undefined) linkSync(last, path);
      else if (kind === 'link') symlinkSync(text, path);
      else if (kind === 'directory') {
        mkdirSync(path);
        plantIn(path, below);
        chmodSync(path, wanted | 0o700);
      } else {
        writeFileSync(path, text);
        chmodSync(path, wanted);
        last = path;
      }
    }
  };
  plantIn(Buffer.from(root), entries);
  return root;
}

/** What find(1) says of a tree, in words that an entry can be put into: the reference for what is recorded. */
export function foundBelow(root: string): string[] {
  const output = execFileSync('find', ['.', '-printf', '%P\\0%y\\0%m\\0%s\\0%n\\0'], { cwd: root });
  const fields: Buffer[] = [];
  for (let start = 0, end = output.indexOf(0); end !== -1; start = end + 1, end = output.indexOf(0, start)) {
    fields.push(output.subarray(start, end));
  }
  const found: string[] = [];
  for (let index = 0; index < fields.length; index += 5) {
    const [path, type, octal, size, links] = fields.slice(index, index + 5) as [Buffer, ...Buffer[]];
    const full = Buffer.concat([Buffer.from(`${root}/`), path]);
    const facts = [path.length === 0 ? '.' : decodeName(path), `${type}`];
    if (`${type}` !== 'l') facts.push(`${octal}`);
    if (`${type}` === 'f') facts.push(`${size}`);
    if (`${type}` === 'f' && Number(`${links}`) > 1) facts.push(`x${links}`);
    if (`${type}` === 'l') facts.push(decodeName(readlinkSync(full, { encoding: 'buffer' })));
    if (lstatSync(full) !== undefined) found.push(JSON.stringify(facts));
  }
  return found.sort();
}

/** An entry in the same words. */
export function inWords({ path, type, mode: bits, size, linkTarget, nlink }: ManifestEntry): string {
  const facts = [path, type === 'directory' ? 'd' : type === 'symlink' ? 'l' : 'f'];
  if (type !== 'symlink') facts.push((bits ?? 0).toString(8));
  if (type === 'file') facts.push(`${size}`);
  if (nlink !== undefined) facts.push(`x${nlink}`);
  if (linkTarget !== undefined) facts.push(linkTarget);
  return JSON.stringify(facts);
}
