/** Whether this is Windows: there are no modes, owners and Unix sockets, and what is in use cannot be renamed. */
export const isWindows = process.platform === 'win32';

/** Whether this is Bun: its opendir reads a directory to its end, however little of it is asked for. */
export const isBun = 'bun' in process.versions;

/**
 * Whether this is Deno: names are text there, so that bytes that are not UTF-8 are lost, and its unlink removes an empty directory, too.
 */
export const isDeno = 'deno' in process.versions;
