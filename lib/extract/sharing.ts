import { resolve } from 'node:path';
import { wrongType } from '../checks.ts';
import { fileVersion } from '../directory/file-version.ts';
import { checkKey, type StageSettings } from './options.ts';
import type { Subject } from './queue.ts';

/** Says that what follows is a key. */
const KEY = Symbol('key');

/** Options of the pass that say who listens, and nothing of the tree. */
const listeners = ['signal', 'onProgress', 'onChange'];

/**
 * What a call with a key asks for: the key stands for what the tree is made of, the options say what becomes of it.
 *
 * @param isVerified whether there is a manifest: what it says is the key's
 */
export function subjectOfKey(key: string, settings: StageSettings, isVerified: boolean): Subject {
  const { publish, existing, durable, pass } = settings;
  const given = Object.entries(pass).filter(
    ([name, value]) => value !== undefined && !listeners.includes(name),
  );
  const options = {
    publish,
    existing,
    durable,
    isVerified,
    ...Object.fromEntries(given),
  };
  return { parts: [KEY, key], options };
}

/**
 * What a call of a wrapped extractor asks for: this archive, with these further arguments. A path is the same however it is written,
 * as long as the same file is there, and as it was.
 *
 * @param owner stands for one extractor with its options
 */
export function subjectOfArchive(owner: object, archive: unknown, rest: readonly unknown[]): Subject {
  if (typeof archive !== 'string') return { parts: [owner, archive, ...rest] };
  const path = resolve(archive);
  return { parts: [owner, path, fileVersion(path), ...rest] };
}

/**
 * The key that a function of an archive returned.
 *
 * @throws TypeError for a promise, or anything but a string; RangeError for an empty one
 */
export function keyFrom(returned: unknown): string {
  if (typeof returned === 'object' && returned !== null && 'then' in returned) {
    // What nobody waits for must not end the process when it fails.
    Promise.resolve(returned).catch(() => undefined);
    throw wrongType('key', returned, 'a string', '; a key is needed at once: make it before the call');
  }
  if (returned === undefined) throw wrongType('key', returned, 'a string');
  checkKey(returned, 'a string');
  return returned as string;
}
