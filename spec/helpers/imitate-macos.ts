/**
 * Loaded before everything else (`--import`): the rest of the process believes that it runs on macOS, where files are opened
 * by XNU's rules (bsd/vfs/vfs_vnops.c and vfs_lookup.c of XNU 7195, which is macOS 11): O_NOFOLLOW_ANY together with
 * O_NOFOLLOW is EINVAL; alone, it is ELOOP for a link in any component. `/tmp`, `/var` and `/etc` are links there.
 */
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const O_NOFOLLOW_ANY = 0x20000000;
const linksOfMacOS: ReadonlySet<string> = new Set(['/tmp', '/var', '/etc']);

Object.defineProperty(process, 'platform', { value: 'darwin' });

const { openSync, lstatSync } = fs;

/** Whether a component of an absolute path is a link, here or on macOS. A path that is no more than one of macOS's own links. */
function leadsThroughLink(path: string): boolean {
  const components = path.split('/').filter((component) => component !== '');
  // The specs work below the temporary directory, whose real path is another on macOS.
  if (linksOfMacOS.has(`/${components[0]}`) && components.length === 2 && components[1] === '.') return true;
  let above = '';
  for (const component of components) {
    above += `/${component}`;
    if (lstatSync(above, { throwIfNoEntry: false })?.isSymbolicLink()) return true;
  }
  return false;
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: open '${path}'`), { code, syscall: 'open', path });
}

const open = (path: fs.PathLike, flags: number | string = 'r', mode?: fs.Mode): number => {
  if (typeof flags !== 'number' || (flags & O_NOFOLLOW_ANY) === 0) return openSync(path, flags, mode);
  const text = Buffer.isBuffer(path) ? path.toString('latin1') : String(path);
  if ((flags & fs.constants.O_NOFOLLOW) !== 0) throw failure('EINVAL', text);
  if (!Buffer.isBuffer(path) && leadsThroughLink(text)) throw failure('ELOOP', text);
  return openSync(path, (flags & ~O_NOFOLLOW_ANY) | fs.constants.O_NOFOLLOW, mode);
};

Object.assign(fs, { openSync: open });
syncBuiltinESMExports();
