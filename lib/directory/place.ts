/** The directory whose path was put together last, for one of its entries. */
let lastAsked: Place | undefined;
let lastPath = '';

/**
 * A directory of a tree, by its name in its parent. Paths are put together only when somebody has to be told of one, so that the
 * memory of what is below grows with the depth, not with its square.
 */
export class Place {
  /** `undefined` for the root. */
  readonly parent: Place | undefined;
  /** `.` for the root. */
  readonly name: string;
  /** 0 for the root. */
  readonly depth: number;
  /** Length of its path below the root in UTF-16 units; 0 for the root. */
  readonly length: number;

  constructor(parent: Place | undefined, name: string) {
    this.parent = parent;
    this.name = name;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.length = parent === undefined ? 0 : parent.length + name.length + Number(parent.depth > 0);
  }

  /** Path below the root, `/`-separated; `.` is the root. */
  get path(): string {
    if (this.parent === undefined) return '.';
    const names = new Array<string>(this.depth);
    for (let at: Place = this; at.parent !== undefined; at = at.parent) names[at.depth - 1] = at.name;
    return names.join('/');
  }

  /** Path below the root of an entry of it: mostly many entries of one directory are told, one after the other. */
  pathOf(name: string): string {
    if (this.parent === undefined) return name;
    if (this !== lastAsked) [lastAsked, lastPath] = [this, this.path];
    return `${lastPath}/${name}`;
  }

  /** True where it is `above`, or lies below it. */
  isWithin(above: Place): boolean {
    let at: Place = this;
    while (at.depth > above.depth && at.parent !== undefined) at = at.parent;
    return isSamePlace(at, above);
  }
}

/** True where both have the same path: they may have been made by different lookups. */
export function isSamePlace(one: Place, other: Place): boolean {
  let [a, b]: (Place | undefined)[] = [one, other];
  // No entry has the name of the root.
  for (; a !== b; [a, b] = [a?.parent, b?.parent]) if (a?.name !== b?.name) return false;
  return true;
}
