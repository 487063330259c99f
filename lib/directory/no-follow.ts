import { errorCode } from './errors.ts';
import { constants, fs } from './fs.ts';

/** macOS's O_NOFOLLOW_ANY (open(2), macOS 11): a link in any component is refused. `fs.constants` lacks it. */
const O_NOFOLLOW_ANY = 0x20000000;

let served: boolean | undefined;

/**
 * The flag that keeps `open` from following links: O_NOFOLLOW_ANY where the system has it, else O_NOFOLLOW, which is for the
 * last component only. Never both: XNU answers EINVAL.
 */
export function noFollowFlag(): number {
  return isAnyRefused() ? O_NOFOLLOW_ANY : constants.O_NOFOLLOW;
}

/**
 * Whether the system refuses to open a path with a link in any component (macOS). It is tried once, for a kernel that does not
 * know a flag may ignore it: it must open an ordinary file, and refuse `/tmp/.`, for `/tmp` is a link on macOS.
 */
export function isAnyRefused(): boolean {
  served ??=
    process.platform === 'darwin' &&
    outcomeOf(fs.realpathSync.native(process.execPath)) === '' &&
    outcomeOf('/tmp/.') === 'ELOOP';
  return served;
}

/** The errno's name that opening a path with O_NOFOLLOW_ANY fails with; `''` where it is opened. */
function outcomeOf(path: string): string {
  try {
    fs.closeSync(fs.openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | O_NOFOLLOW_ANY));
    return '';
  } catch (error) {
    return errorCode(error) ?? 'unknown';
  }
}
