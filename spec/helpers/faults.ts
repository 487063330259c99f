import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { posix } from 'node:path';

/** Functions of node:fs that a pass may call and that may fail; so may `process.chdir`. */
const faultable = [
  'openSync',
  'fstatSync',
  'lstatSync',
  'statSync',
  'statfsSync',
  'readdirSync',
  'readlinkSync',
  'readFileSync',
  'readSync',
  'chmodSync',
  'fchmodSync',
  'symlinkSync',
  'renameSync',
  'unlinkSync',
] as const;

/** What a fault is injected with. */
export const faultCodes = [
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'EBUSY',
  'ESTALE',
  'ELOOP',
  'EAGAIN',
  'EINTR',
] as const;

export type FaultCode = (typeof faultCodes)[number];

/** One call that was made. */
export interface SystemCall {
  /** Name without `Sync`. */
  name: string;
  /** What it was made for, without any descriptor in it; `''` where that is not known. */
  path: string;
}

type Call = (...parameters: unknown[]) => unknown;

/** System calls under our hands: every call is noted, and one of them may fail. */
export interface WatchedCalls {
  /** What was called since the last {@link WatchedCalls.begin}. */
  readonly calls: readonly SystemCall[];
  /** What was opened and not closed since the last {@link WatchedCalls.begin}. */
  readonly leaked: readonly string[];
  /** Note calls from here on. Before the one at this position (the first is 0) is made, it fails, or something is done. */
  begin(position?: number, event?: FaultCode | (() => void)): void;
  /** Note nothing more, and let nothing fail. */
  end(): void;
  /** Give node:fs its own functions back. */
  restore(): void;
}

/**
 * Put a layer between the code under test and node:fs. Named imports of node:fs see it, too. Until
 * {@link WatchedCalls.begin}, every call goes through as it is.
 */
export function watchCalls(): WatchedCalls {
  const table = fs as unknown as Record<string, Call>;
  const originals = new Map<string, Call>();
  const opened = new Map<number, string>();
  const calls: SystemCall[] = [];
  let isWatching = false;
  let planned: { position: number; event: FaultCode | (() => void) } | undefined;
  let workingDirectory = '';
  const { chdir } = process;

  const replace = (name: string, wrap: (original: Call) => Call): void => {
    const original = table[name] as Call;
    originals.set(name, original);
    table[name] = wrap(original);
  };
  const watched =
    (name: string, original: Call, done: (path: string, result: unknown) => void): Call =>
    (...parameters) => {
      if (!isWatching) return original(...parameters);
      // The first parameter of symlink is the text.
      const named = parameters[name === 'symlinkSync' ? 1 : 0];
      const path = withoutDescriptors(named, opened, workingDirectory);
      const position = calls.push({ name: name.replace(/Sync$/, ''), path }) - 1;
      if (planned?.position === position) {
        if (typeof planned.event === 'string') return failWith(planned.event, name, parameters);
        isWatching = false;
        planned.event();
        isWatching = true;
      }
      const result = original(...parameters);
      done(path, result);
      return result;
    };
  for (const name of faultable) {
    replace(name, (original) =>
      watched(name, original, (path, result) => {
        if (name === 'openSync') opened.set(result as number, path);
      }),
    );
  }
  process.chdir = watched('chdir', chdir as Call, (path) => {
    workingDirectory = path;
  }) as typeof chdir;
  replace('closeSync', (original) => (descriptor) => {
    original(descriptor);
    opened.delete(descriptor as number);
  });
  syncBuiltinESMExports();

  return {
    calls,
    get leaked() {
      return [...opened.values()];
    },
    begin(position, event) {
      calls.length = 0;
      opened.clear();
      workingDirectory = process.cwd();
      planned = position === undefined || event === undefined ? undefined : { position, event };
      isWatching = true;
    },
    end() {
      isWatching = false;
    },
    restore() {
      for (const [name, original] of originals) table[name] = original;
      process.chdir = chdir;
      syncBuiltinESMExports();
    },
  };
}

/** What node:fs does where the system answers a call with an error. */
function failWith(code: string, name: string, parameters: unknown[]): undefined {
  const options = parameters[1] as { throwIfNoEntry?: boolean } | undefined;
  if (code === 'ENOENT' && options?.throwIfNoEntry === false) return undefined;
  const syscall = name.replace(/Sync$/, '');
  const path = Buffer.isBuffer(parameters[0]) ? parameters[0].toString() : parameters[0];
  const error = Object.assign(new Error(`${code}: injected, ${syscall} '${path}'`), { code, syscall });
  throw typeof path === 'string' ? Object.assign(error, { path }) : error;
}

/** The path that a call was made for, with a descriptor at its beginning as the path that it was opened with. */
function withoutDescriptors(
  parameter: unknown,
  opened: ReadonlyMap<number, string>,
  workingDirectory: string,
): string {
  if (typeof parameter === 'number') return opened.get(parameter) ?? '';
  if (typeof parameter !== 'string' && !Buffer.isBuffer(parameter)) return '';
  const path = parameter.toString();
  const [, descriptor, rest = ''] = /^\/proc\/\d+\/fd\/(\d+)(\/.*)?$/.exec(path) ?? [];
  if (descriptor === undefined) return posix.resolve(workingDirectory, path);
  return posix.normalize(`${opened.get(Number(descriptor)) ?? ''}${rest}`);
}
