import { lstatSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ManifestEntry } from '../../lib/manifest/manifest.ts';
import { extent } from '../helpers/extent.ts';
import { modeOf, tempDirectory } from '../helpers/tree.ts';

const CANARIES = extent({ short: 60, full: 200 });
/** Files of the tree have the names of canaries, so that whoever follows a link finds one. */
export const names = Array.from({ length: CANARIES }, (_, index) => `c${String(index).padStart(3, '0')}`);
/** A size that no file of the tree has: seen in a report, it was seen outside. */
export const CANARY_SIZE = 4242;
const INSIDE_SIZE = 10;
/** Directories in one another, more than the anchored root keeps open, so that it has to find some again. */
export const deepPaths = Array.from({ length: 40 }, (_, level) =>
  Array.from({ length: level + 1 }, (_, above) => `d${above}`).join('/'),
);
export const deepSwapped = deepPaths[9] as string;
const SWAPPED_FILES = 20;
/** Files that nobody attacks: the pass must do its work on them all the while. */
const calmNames = names.slice(0, 5);

export type Pair = readonly [string, string];

/** A tree, canaries outside, and the names in both that are to be exchanged. */
export interface Course {
  root: string;
  outside: string;
  pairs: Pair[];
  /** Paths of everything in the tree, directories with a `/` at their end. */
  paths: string[];
}

/** A tree of files that nobody attacks, and canaries outside. */
export function calmCourse(): Course {
  const scratch = tempDirectory();
  const root = join(scratch, 'tree');
  const outside = join(scratch, 'outside');
  mkdirSync(root);
  mkdirSync(outside, { mode: 0o700 });
  for (const name of names) writeFileSync(join(outside, name), 'o'.repeat(CANARY_SIZE), { mode: 0o600 });
  const course: Course = { root, outside, pairs: [], paths: [] };
  addDirectory(course, 'calm', calmNames);
  return course;
}

export function addDirectory({ root, paths }: Course, path: string, fileNames: readonly string[]): void {
  mkdirSync(join(root, path));
  paths.push(`${path}/`);
  for (const name of fileNames) {
    writeFileSync(join(root, path, name), 'i'.repeat(INSIDE_SIZE), { mode: 0o644 });
    paths.push(`${path}/${name}`);
  }
}

/** Have a name of the tree exchanged with a link that leads to `target`, below the directory outside. */
export function addPair({ root, outside, pairs }: Course, path: string, link: string, target: string): void {
  symlinkSync(join(outside, target), link);
  pairs.push([join(root, path), link]);
}

/** Files, each of which is exchanged with a link to a file outside. */
export function fileCourse(): Course {
  const course = calmCourse();
  const swapped = names.slice(0, SWAPPED_FILES);
  addDirectory(course, 'files', swapped);
  for (const name of swapped) addPair(course, `files/${name}`, join(course.outside, `link-${name}`), name);
  return course;
}

/** Directories and files that are exchanged with links to what is outside. */
export function directoryCourse(): Course {
  const course = fileCourse();
  const { root, outside } = course;
  addDirectory(course, 'swapped', names);
  addDirectory(course, 'a', names.slice(0, 20));
  addDirectory(course, 'a/b', names.slice(0, 5));
  addDirectory(course, 'a/b/swapped', names.slice(0, 50));
  addDeepDirectories(course);
  // What is exchanged with a name outside has canaries for siblings then: whoever trusts `..` finds them.
  addPair(course, 'swapped', join(outside, 'link'), '');
  addPair(course, deepSwapped, join(outside, 'deep-link'), '');
  addPair(course, 'a/b/swapped', join(root, 'a/b/link'), '');
  addPair(course, 'a/c001', join(root, 'a/file-link'), 'c001');
  return course;
}

export function addDeepDirectories(course: Course): void {
  for (const path of deepPaths) addDirectory(course, path, names.slice(0, 3));
}

/** Whatever shows that a canary was touched, by name: any chmod sets ctime, even one that changes nothing. */
export function canaries({ outside }: Pick<Course, 'outside'>): Map<string, string> {
  return new Map(names.map((name) => [name, factsOf(join(outside, name))]));
}

/** Mode, time of the last change, and size of a file; of one that is gone, that. */
export function factsOf(path: string): string {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? 'gone' : `${stats.mode.toString(8)} ${stats.ctimeNs} ${stats.size}`;
}

export function changedCanaries(course: Pick<Course, 'outside'>, before: Map<string, string>): string[] {
  const after = canaries(course);
  return names.filter((name) => after.get(name) !== before.get(name));
}

/** Make reading anything outside show: a time of access before that of the change is brought up to date. */
export function armAccessTimes({ outside }: Course): () => string[] {
  const paths = [outside, ...names.map((name) => join(outside, name))];
  const long = new Date(0);
  for (const path of paths) utimesSync(path, long, new Date());
  return () => paths.filter((path) => lstatSync(path).atimeMs !== 0);
}

/** Files that nobody attacks and that have another mode than they should have by now. */
export function neglected({ root }: Pick<Course, 'root'>, mode: number): string[] {
  return calmNames.filter((name) => modeOf(root, 'calm', name) !== mode);
}

/** What the tree is while nothing is exchanged. */
export function manifestOf({ paths }: Course): ManifestEntry[] {
  return paths.map((path) =>
    path.endsWith('/')
      ? { path, type: 'directory', mode: 0o755 }
      : { path, type: 'file', mode: 0o755, size: INSIDE_SIZE },
  );
}

/** A manifest that takes what is exchanged for links: a file in their place is read, to see whether it is one. */
export function linkManifestOf({ root, outside, pairs }: Course): ManifestEntry[] {
  return pairs.map(([path]) => ({
    path: path.slice(root.length + 1),
    type: 'symlink',
    linkTarget: outside,
  }));
}
