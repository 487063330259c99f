import type { Stats } from 'node:fs';
import { joinPath, parentOf } from './names.ts';
import { errorCode, type Root } from './root.ts';

/** As many links as Linux follows before it says ELOOP (path_resolution(7)). */
const MAX_LINKS = 40;
/** As many names as a path of PATH_MAX can have. Forty links, one after the other, could have forty times as many. */
const MAX_LOOKS = 2048;

/** Where a link leads, found without leaving the root. */
export type LinkResolution =
  | { kind: 'inside'; path: string }
  | { kind: 'dangling'; missing: string }
  | { kind: 'outside' }
  /** A directory on the way may not be searched. */
  | { kind: 'unknown' }
  /** It goes through too many links, or names. */
  | { kind: 'loop' };

/**
 * Follow a link by looking at one component after the other, through the root. `..` above the root is outside;
 * an absolute target is outside unless it names the root or something below it. Nothing outside is looked at.
 *
 * @param path the link, below the root
 * @param target its text
 * @returns `inside` with the path that it leads to, `dangling` with the path that would have to be there
 */
export function resolveLink(root: Root, path: string, target: string): LinkResolution {
  try {
    return follow(root, path, target);
  } catch (error) {
    if (errorCode(error) === 'EACCES') return { kind: 'unknown' };
    throw error;
  }
}

function follow(root: Root, path: string, target: string): LinkResolution {
  const steps = new Steps(root.path, parentOf(path));
  if (!steps.follow(target)) return { kind: 'outside' };
  let links = 1;
  let looks = 0;
  while (steps.hasMore()) {
    const name = steps.next();
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (!steps.up()) return { kind: 'outside' };
      continue;
    }
    looks += 1;
    if (looks > MAX_LOOKS) return { kind: 'loop' };
    const here = joinPath(steps.path, name);
    const found = lookAt(root, here);
    if (found?.isSymbolicLink()) {
      links += 1;
      if (links > MAX_LINKS) return { kind: 'loop' };
      if (!steps.follow(root.readlink(here))) return { kind: 'outside' };
    } else if (found === undefined || (steps.hasMore() && !found.isDirectory())) {
      return steps.dangling(name);
    } else {
      steps.down(name);
    }
  }
  return { kind: 'inside', path: steps.path };
}

/** Facts of an entry, or `undefined` where there is none or a file is on the way. */
function lookAt(root: Root, path: string): Stats | undefined {
  try {
    return root.lstat(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Where the resolution stands: a directory below the root, and the components still to go. */
class Steps {
  readonly #rootComponents: string[];
  #at: string[];
  /** Components still to go, the next one last. */
  #rest: string[] = [];

  constructor(rootPath: string, directory: string) {
    this.#rootComponents = rootPath.split('/').filter(Boolean);
    this.#at = directory === '.' ? [] : directory.split('/');
  }

  get path(): string {
    return this.#at.length === 0 ? '.' : this.#at.join('/');
  }

  hasMore(): boolean {
    return this.#rest.length > 0;
  }

  next(): string {
    return this.#rest.pop() as string;
  }

  down(name: string): void {
    this.#at.push(name);
  }

  /** One up; false where that leaves the root. */
  up(): boolean {
    return this.#at.pop() !== undefined;
  }

  /** Put a link's text before what is still to go; false where it is absolute and leads outside. */
  follow(target: string): boolean {
    const components = target.split('/');
    if (target.startsWith('/')) {
      const rest = componentsBelow(this.#rootComponents, components);
      if (rest === undefined) return false;
      this.#at = [];
      this.#rest.push(...rest.reverse());
      return true;
    }
    this.#rest.push(...components.reverse());
    return true;
  }

  /** The path that would have to be there, taking what is left of the target as it is written. */
  dangling(name: string): LinkResolution {
    const missing = [...this.#at, name];
    while (this.hasMore()) {
      const component = this.next();
      if (component === '' || component === '.') continue;
      if (component !== '..') missing.push(component);
      else if (missing.pop() === undefined) return { kind: 'outside' };
    }
    return { kind: 'dangling', missing: missing.length === 0 ? '.' : missing.join('/') };
  }
}

/** What an absolute path adds to the root's components, or `undefined` where it leads elsewhere. */
function componentsBelow(rootComponents: string[], components: string[]): string[] | undefined {
  let position = 0;
  const isSkipped = (component: string | undefined) => component === '' || component === '.';
  for (const expected of rootComponents) {
    while (isSkipped(components[position])) position += 1;
    if (components[position] !== expected) return undefined;
    position += 1;
  }
  return components.slice(position);
}
