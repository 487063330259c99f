/** A glob by its last slash: whether an entry is named depends on its directory and on its name, each by itself. */
export interface SplitGlob {
  /** Glob for the directory's path; `**` is every directory, the root included, `.` the root alone. */
  readonly directory: string;
  /** Glob for the name. */
  readonly name: string;
}

/** Names, `*`, `?`, and braces without a slash: globs of which each part means by itself what it means in the whole. */
const plainGlob = /^(?:[\w.+@~=% -]|\*|\?|\/|\{[\w.+@~=% ,*?-]*,[\w.+@~=% ,*?-]*\})+$/;
/** Segments that are no names, or of which picomatch takes the slashes beside them, too; `++`, which means more alone than in a path. */
const oddSegment = /\+\+|(?:^|\/)(?:\.{0,2}|\*\*[^/]+|[^/]+\*\*[^/]*|\*{3,})(?:\/|$)/;

/** Split a glob, or `undefined` where it has to be matched as a whole. */
export function splitGlob(glob: string): SplitGlob | undefined {
  if (!plainGlob.test(glob) || oddSegment.test(glob)) return undefined;
  const slash = glob.lastIndexOf('/');
  const name = glob.slice(slash + 1);
  if (name === '**') return undefined;
  const directory = slash === -1 ? '.' : glob.slice(0, slash);
  const isEvery = directory.split('/').every((segment) => segment === '**');
  return { directory: isEvery ? '**' : directory, name };
}
