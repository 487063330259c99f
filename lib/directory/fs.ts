import nodeFs from 'node:fs';

/**
 * The file system as it is. Electron's `node:fs` shows a file `*.asar` as a directory; its module `original-fs` is the same as
 * `node:fs` everywhere else.
 *
 * Functions are called on it, not imported by name: what takes the place of one is called then.
 */
export const fs: typeof nodeFs = process.versions.electron === undefined ? nodeFs : (unpatched() ?? nodeFs);

/** `undefined` in what calls itself Electron and is not, where nothing is patched either. */
function unpatched(): typeof nodeFs | undefined {
  return process.getBuiltinModule('original-fs') as typeof nodeFs | undefined;
}

/** Numbers of the platform's flags. */
export const { constants } = fs;
