import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, fs } from '../fs.ts';
import { decodeName, encodeName } from '../names.ts';
import { descriptorPath } from '../proc.ts';

const MEMORY = '/dev/shm';
const PREFIX = 'permwalk-check-';
/** What mkdtemp(3) makes of it. */
const isOurs = /^permwalk-check-\w{6}$/;
/** A check takes milliseconds: a directory that was last changed so long ago was left by a process that was killed. */
const STALE_MS = 60_000;

/** What its file holds. */
export const CONTENT = 'content';

/** A name that is not UTF-8. */
export const BYTES = decodeName(Uint8Array.of(0x62, 0xff));

/** Everything that a check makes, and what it renames it to. */
const names = ['file', BYTES, 'directory', 'link', 'moved'];

/**
 * Make a directory for a check, in memory where that is possible: on a disk that is busy it may take long. What killed processes
 * left there is removed.
 *
 * @throws the system's error where none can be made
 */
export function makeCheckDirectory(folders: readonly string[] = [MEMORY, tmpdir()]): string {
  let failure: unknown;
  for (const folder of folders) {
    try {
      return filled(fs.mkdtempSync(join(folder, PREFIX)), folder);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function filled(path: string, folder: string): string {
  try {
    removeStale(folder);
    fs.writeFileSync(`${path}/file`, CONTENT, { mode: 0o640 });
    fs.writeFileSync(encodeName(`${path}/${BYTES}`), '');
    fs.mkdirSync(`${path}/directory`, 0o711);
    fs.symlinkSync('file', `${path}/link`);
    return path;
  } catch (error) {
    removeCheckDirectory(path);
    throw error;
  }
}

function removeStale(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (!isOurs.test(name)) continue;
    try {
      removeCheckDirectory(join(folder, name), STALE_MS);
    } catch {
      // It is somebody else's, or another process removed it.
    }
  }
}

/**
 * Remove the directory of a check. It is held open and must be ours and closed to others: nothing else is touched, whatever bears
 * its name.
 *
 * @param age milliseconds since its last change; a younger one stays
 * @throws the system's error where that fails
 */
export function removeCheckDirectory(path: string, age = 0): void {
  const fd = fs.openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { uid, mode, mtimeMs } = fs.fstatSync(fd);
    if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) return;
    if (age > 0 && Date.now() - mtimeMs < age) return;
    for (const name of names) remove(encodeName(`${descriptorPath(fd)}/${name}`));
  } finally {
    fs.closeSync(fd);
  }
  fs.rmdirSync(path);
}

/** In steps of our own: rmSync takes as long as a whole check. */
function remove(entry: string | Buffer): void {
  const found = fs.lstatSync(entry, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) fs.rmdirSync(entry);
  else if (found !== undefined) fs.unlinkSync(entry);
}
