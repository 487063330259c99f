import type { ModeOf } from './trees/work-tree.ts';

const ALL_READ = 0o444;
const ALL_EXECUTE = 0o111;

/** Modes as they were archived. */
export const archived: ModeOf = ({ mode }) => mode;

/** As an extractor leaves a tree that loses exec bits. */
export const withoutExec: ModeOf = ({ type, mode }) => (type === 'file' ? mode & ~ALL_EXECUTE : mode);

/** Open to the owner alone: `a+rX` changes every entry. */
export const closed: ModeOf = ({ mode }) => mode & 0o700;

/** What chmod's `a+rX` makes of a mode. */
export function readable(before: ModeOf): ModeOf {
  return (entry) => {
    const mode = before(entry) | ALL_READ;
    return entry.type === 'directory' || (mode & ALL_EXECUTE) !== 0 ? mode | ALL_EXECUTE : mode;
  };
}

/** Exec bits back where they were archived: x for every class that has r. */
export const restored: ModeOf = (entry) => {
  const mode = withoutExec(entry);
  return entry.type === 'directory' || (entry.mode & ALL_EXECUTE) !== 0 ? withExec(mode) : mode;
};

/** Exec bits for shared libraries and for whatever lies in a `bin`. */
export const globbed: ModeOf = (entry) => {
  const mode = withoutExec(entry);
  const isNamed = /\.(so|dylib)$/.test(entry.path) || /(^|\/)bin\/[^/]+$/.test(entry.path);
  return entry.type === 'directory' || isNamed ? withExec(mode) : mode;
};
/** The globs that say the same. */
export const globs = ['**/*.{so,dylib}', '**/bin/*'];

/** What a peer sets that has no symbolic modes. */
export const uniform: ModeOf = ({ type }) => (type === 'directory' ? 0o755 : 0o644);

function withExec(mode: number): number {
  return mode | ((mode & ALL_READ) >> 2);
}
