import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import {
  createReadStream,
  createWriteStream,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { createGunzip, gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { completion } from '../lib/extract/completion.ts';
import { wrapExtractor } from '../lib/index.ts';
import { canRunOn } from './helpers/runtime.ts';
import { tempDirectory } from './helpers/tree.ts';

const MEBIBYTE = 1 << 20;

/** What an extractor may fail with. */
type Failure = Error & {
  code?: string;
  exitCode?: number | null;
  signal?: NodeJS.Signals | null;
  stderr?: string;
};

async function failureOf(promise: Promise<void>): Promise<Failure> {
  try {
    await promise;
  } catch (error) {
    return error as Failure;
  }
  throw new Error('expected a rejection');
}

/** Notes what happens, and that the extraction is complete, in order. */
function watch(returned: unknown): { log: string[]; done: Promise<unknown> } {
  const log: string[] = [];
  return { log, done: completion(returned).then(() => log.push('complete')) };
}

/** A file of a mebibyte. */
function bigFile(): string {
  const path = join(tempDirectory(), 'big');
  writeFileSync(path, Buffer.alloc(MEBIBYTE, 'x'));
  return path;
}

const shell = (script: string, options: SpawnOptions = {}): ChildProcess =>
  spawn('sh', ['-c', script], options);

const values = suite('completion: values and promises');

for (const value of [
  undefined,
  null,
  0,
  'text',
  [],
  {},
  new Map(),
  Buffer.from('x'),
  () => {},
  Symbol('s'),
]) {
  values(
    `${Object.prototype.toString.call(value)} is complete as it is, and so is a promise of it`,
    async () => {
      await completion(value);
      await completion(Promise.resolve(value));
    },
  );
}

values('what only looks like a promise or an emitter is a value', async () => {
  // biome-ignore lint/suspicious/noThenProperty: that is the case.
  await completion({ then: 'later', on: 'off' });
});

values('waits for a promise', async () => {
  let resolve = () => {};
  const { log, done } = watch(
    new Promise<void>((settle) => {
      resolve = settle;
    }),
  );
  await setImmediate();
  log.push('resolved');
  resolve();
  await done;
  assert.equal(log, ['resolved', 'complete']);
});

values('waits for a thenable', async () => {
  let resolve: (value: unknown) => void = () => {};
  const thenable = {
    // biome-ignore lint/suspicious/noThenProperty: promises of other libraries have one, too.
    then: (settle: (value: unknown) => void) => {
      resolve = settle;
    },
  };
  const { log, done } = watch(thenable);
  await setImmediate();
  log.push('resolved');
  resolve(undefined);
  await done;
  assert.equal(log, ['resolved', 'complete']);
});

values('rejects with the very thing that a promise or thenable rejects with', async () => {
  for (const reason of [new Error('no'), 'a string', undefined]) {
    // biome-ignore lint/suspicious/noThenProperty: promises of other libraries have one, too.
    const thenable = { then: (_: unknown, reject: (reason: unknown) => void) => reject(reason) };
    assert.is(await failureOf(completion(Promise.reject(reason))), reason);
    assert.is(await failureOf(completion(thenable)), reason);
  }
});

values.run();

const streams = suite('completion: streams');

streams('a Readable that nobody reads is read', async () => {
  const stream = createReadStream(bigFile());
  await completion(stream);
  assert.ok(stream.readableEnded);
  assert.is(stream.bytesRead, MEBIBYTE);
});

streams('a Readable that is read loses nothing', async () => {
  const flowing = createReadStream(bigFile());
  const paused = createReadStream(bigFile());
  let flowed = 0;
  let taken = 0;
  flowing.on('data', (chunk) => {
    flowed += chunk.length;
  });
  paused.on('readable', () => {
    for (let chunk = paused.read(); chunk !== null; chunk = paused.read()) taken += chunk.length;
  });
  await completion(flowing);
  await completion(paused);
  assert.is(flowed, MEBIBYTE);
  assert.is(taken, MEBIBYTE);
});

streams('what is paused stays so: whoever paused it reads it', async () => {
  const stream = createReadStream(bigFile()).pause();
  const { log, done } = watch(stream);
  await setImmediate();
  assert.is(stream.readableFlowing, false);
  assert.equal(log, []);
  stream.resume();
  await done;
});

streams('what a child writes to a paused pipe is left to whoever paused it', async () => {
  const child = shell('echo out');
  child.stdout?.pause();
  const done = completion(child);
  assert.is(child.stdout?.readableFlowing, false);
  let taken = '';
  child.stdout?.on('data', (chunk) => {
    taken += chunk;
  });
  child.stdout?.resume();
  await done;
  assert.is(taken, 'out\n');
});

streams('a Writable is complete when it is closed, and everything is in its file', async () => {
  const path = join(tempDirectory(), 'copy');
  const stream = createReadStream(bigFile()).pipe(createWriteStream(path));
  await completion(stream);
  assert.ok(stream.closed);
  assert.is(statSync(path).size, MEBIBYTE);
});

streams('a Writable that takes its time is waited for', async () => {
  let isWritten = () => {};
  const stream = new Writable({
    write: (_chunk, _encoding, callback) => {
      isWritten = callback;
    },
  });
  stream.end('entry');
  const { log, done } = watch(stream);
  await setImmediate();
  log.push('written');
  isWritten();
  await done;
  assert.equal(log, ['written', 'complete']);
});

streams('a Transform that nobody reads, and one that is piped on', async () => {
  const archive = join(tempDirectory(), 'archive.gz');
  const target = join(tempDirectory(), 'unpacked');
  writeFileSync(archive, gzipSync(Buffer.alloc(MEBIBYTE)));
  const unread = createReadStream(archive).pipe(createGunzip());
  await completion(unread);
  assert.ok(unread.readableEnded && unread.writableFinished);
  const piped = createReadStream(archive).pipe(createGunzip());
  const file = piped.pipe(createWriteStream(target));
  await completion(piped);
  await completion(file);
  assert.is(statSync(target).size, MEBIBYTE);
});

streams('a Duplex is complete when both of its sides are', async () => {
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, callback) => callback() });
  const { log, done } = watch(stream);
  stream.push(null);
  await once(stream, 'end');
  await setImmediate();
  log.push('read');
  stream.end('written');
  await done;
  assert.equal(log, ['read', 'complete']);
  assert.ok(stream.writableFinished);
});

streams('rejects with the error of a stream', async () => {
  const directory = tempDirectory();
  const garbage = () => Readable.from(['this is no gzip']).pipe(createGunzip());
  assert.is((await failureOf(completion(createReadStream(join(directory, 'gone'))))).code, 'ENOENT');
  assert.is((await failureOf(completion(createWriteStream(directory)))).code, 'EISDIR');
  assert.is((await failureOf(completion(garbage()))).code, 'Z_DATA_ERROR');
});

streams('rejects when a stream is destroyed before its end', async () => {
  const stream = createReadStream(bigFile(), { highWaterMark: 1024 });
  stream.once('data', () => stream.destroy());
  assert.is((await failureOf(completion(stream))).code, 'ERR_STREAM_PREMATURE_CLOSE');
  const path = join(tempDirectory(), 'half');
  const writable = createWriteStream(path);
  writable.write('half');
  writable.destroy();
  assert.is((await failureOf(completion(writable))).code, 'ERR_STREAM_PREMATURE_CLOSE');
});

streams('a stream that ended before it was returned is complete; one that failed rejects', async () => {
  const read = createReadStream(bigFile());
  const written = createWriteStream(join(tempDirectory(), 'file'));
  await pipeline(read, written);
  await completion(read);
  await completion(written);
  const broken = new PassThrough();
  const reason = new Error('broken');
  broken.destroy(reason);
  assert.is(await failureOf(finished(broken)), reason);
  assert.is(await failureOf(completion(broken)), reason);
});

streams('an async function that resolves to a stream', async () => {
  const path = join(tempDirectory(), 'copy');
  const big = bigFile();
  const copy = async () => {
    await setImmediate();
    return createReadStream(big).pipe(createWriteStream(path));
  };
  await completion(copy());
  assert.is(statSync(path).size, MEBIBYTE);
  const fail = async () => Readable.from(failing());
  async function* failing() {
    yield 'first';
    throw new Error('second');
  }
  assert.is((await failureOf(completion(fail()))).message, 'second');
});

streams.run();

const emitters = suite('completion: emitters and foreign streams');

emitters('close is the end', async () => {
  const emitter = new EventEmitter();
  const { log, done } = watch(emitter);
  await setImmediate();
  log.push('close');
  emitter.emit('close');
  await done;
  assert.equal(log, ['close', 'complete']);
});

emitters('finish and end are the end where close does not come', async () => {
  const ends = ['finish', 'end'].map(async (name) => {
    const emitter = new EventEmitter();
    const { log, done } = watch(emitter);
    await setImmediate();
    log.push(name);
    emitter.emit(name);
    await done;
    assert.equal(log, [name, 'complete']);
  });
  await Promise.all(ends);
});

emitters('a foreign stream whose close comes well after finish is complete when it is closed', async () => {
  const emitter = new EventEmitter();
  const { log, done } = watch(emitter);
  await setImmediate();
  log.push('finish');
  emitter.emit('finish');
  await setTimeout(400);
  log.push('close');
  emitter.emit('close');
  await done;
  assert.equal(log, ['finish', 'close', 'complete']);
});

emitters('rejects with an error, also with one that comes after finish', async () => {
  for (const before of [[], ['finish'], ['end', 'finish']]) {
    const emitter = new EventEmitter();
    const failure = failureOf(completion(emitter));
    for (const name of before) emitter.emit(name);
    await setImmediate();
    const reason = new Error('broken');
    emitter.emit('error', reason);
    assert.is(await failure, reason);
  }
});

emitters('a foreign stream that nobody reads is read', async () => {
  let isRead = false;
  const emitter = Object.assign(new EventEmitter(), {
    resume: () => {
      isRead = true;
    },
  });
  const { done } = watch(emitter);
  emitter.emit('close');
  await done;
  assert.ok(isRead);
});

emitters('a foreign stream that was over before it was returned is complete', async () => {
  const states = ['destroyed', 'closed', 'writableFinished', 'readableEnded'].map((name) => ({
    [name]: true,
  }));
  for (const state of [...states, { _writableState: { finished: true } }]) {
    const emitter = Object.assign(new EventEmitter(), { pipe: () => {}, ...state });
    await completion(emitter);
    await completion(Promise.resolve(emitter));
  }
});

emitters('a foreign stream that does not say so is not over', async () => {
  const names = ['destroyed', 'closed', 'writableFinished', 'readableEnded'];
  const states: object[] = names.map((name) => ({ [name]: false }));
  const written = { write: () => {}, readableEnded: true };
  states.push(written, { _writableState: { finished: false } }, { _writableState: undefined });
  for (const state of states) {
    const emitter = Object.assign(new EventEmitter(), { pipe: () => {}, ...state });
    const { log, done } = watch(emitter);
    await setImmediate();
    log.push('close');
    emitter.emit('close');
    await done;
    assert.equal(log, ['close', 'complete'], JSON.stringify(state));
  }
});

emitters('what has only some marks of a child process, or of a stream, is an emitter', async () => {
  for (const marks of [
    { exitCode: null, signalCode: null },
    { exitCode: null, stdio: [] },
    { signalCode: null, stdio: [] },
    { resume: true },
    // biome-ignore lint/suspicious/noThenProperty: that is the case.
    { then: 'later' },
  ]) {
    const emitter = Object.assign(new EventEmitter(), marks);
    const { log, done } = watch(emitter);
    await setImmediate();
    log.push('close');
    emitter.emit('close');
    await done;
    assert.equal(log, ['close', 'complete'], JSON.stringify(marks));
  }
});

emitters('an async function that resolves to a foreign stream is not complete before that is', async () => {
  for (const method of ['pipe', 'write']) {
    const emitter = Object.assign(new EventEmitter(), { [method]: () => {} });
    const { log, done } = watch(Promise.resolve(emitter));
    await setImmediate();
    log.push('close');
    emitter.emit('close');
    await done;
    assert.equal(log, ['close', 'complete']);
  }
});

emitters('any other emitter that a promise brings is a value: it may have ended long ago', async () => {
  await completion(Promise.resolve(new EventEmitter()));
});

emitters("an error that comes when nobody waits any more is nobody's", async () => {
  const emitter = new EventEmitter();
  const done = completion(emitter);
  emitter.emit('close');
  await done;
  assert.ok(emitter.emit('error', new Error('late')));
});

emitters('no listener for an end is left behind, whichever came', async () => {
  const names = ['close', 'finish', 'end'];
  const ends = names.map(async (end) => {
    const emitter = new EventEmitter();
    const done = completion(emitter);
    for (const name of names) assert.ok(emitter.listenerCount(name) > 0, name);
    emitter.emit(end);
    await done;
    for (const name of names) assert.is(emitter.listenerCount(name), 0, `${name} after ${end}`);
  });
  await Promise.all(ends);
});

if (canRunOn(['node', 'deno'], 'it does not say which timers there are')) {
  emitters('no timer is left behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const emitter = new EventEmitter();
    const done = completion(emitter);
    emitter.emit('finish');
    await setImmediate();
    assert.is(timers(), before + 1);
    emitter.emit('close');
    await done;
    assert.is(timers(), before);
  });
}

emitters.run();

const children = suite('completion: child processes');

children('a child that exits with 0, with pipes and without', async () => {
  for (const stdio of ['pipe', 'ignore'] as const) {
    const path = join(tempDirectory(), 'written');
    await completion(spawn('sh', ['-c', 'echo done > "$0"', path], { stdio }));
    assert.is(readFileSync(path, 'utf8'), 'done\n');
  }
});

children('a child that fails: its code and what it wrote to stderr', async () => {
  const failure = await failureOf(completion(shell('echo half done; echo cannot unpack >&2; exit 3')));
  assert.is(failure.code, 'ERR_PERMWALK_EXTRACTOR');
  assert.is(failure.exitCode, 3);
  assert.is(failure.signal, null);
  assert.is(failure.stderr, 'cannot unpack\n');
  assert.is(failure.message, 'the extractor ended with code 3: cannot unpack');
});

children('a child that fails without a word', async () => {
  for (const stdio of ['pipe', 'ignore'] as const) {
    const failure = await failureOf(completion(shell('exit 1', { stdio })));
    assert.is(failure.message, 'the extractor ended with code 1');
    assert.is(failure.stderr, '');
  }
});

children('only the end of a long stderr is quoted', async () => {
  const script = `head -c ${MEBIBYTE} /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; exit 1`;
  const { stderr = '' } = await failureOf(completion(shell(script)));
  assert.ok(stderr.endsWith('xxx\nthe end\n'));
  assert.is(stderr.length, 4096);
});

children('what it wrote to stderr is quoted where that is read as text, too', async () => {
  const child = shell('echo größer >&2; exit 3');
  child.stderr?.setEncoding('utf8');
  const failure = await failureOf(completion(child));
  assert.is(failure.stderr, 'größer\n');
});

children('a child that a signal ends', async () => {
  const failure = await failureOf(completion(shell('echo out of memory >&2; kill -KILL $$')));
  assert.is(failure.code, 'ERR_PERMWALK_EXTRACTOR');
  assert.is(failure.exitCode, null);
  assert.is(failure.signal, 'SIGKILL');
  assert.is(failure.message, 'the extractor ended by SIGKILL: out of memory');
});

children('a child that cannot be started', async () => {
  const start = () => spawn(join(tempDirectory(), 'no-such-command'), []);
  for (const extract of [start, async () => start()]) {
    const failure = await failureOf(completion(extract()));
    assert.is(failure.code, 'ENOENT');
    assert.match(failure.message, 'no-such-command');
  }
});

children('a child that fills its pipes, which nobody reads', async () => {
  const path = join(tempDirectory(), 'written');
  const script = `head -c ${8 * MEBIBYTE} /dev/zero; head -c ${8 * MEBIBYTE} /dev/zero >&2; echo done > "$0"`;
  await completion(spawn('sh', ['-c', script, path]));
  assert.is(readFileSync(path, 'utf8'), 'done\n');
});

children('a child that fills a further pipe', async () => {
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe'] as const;
  await completion(shell(`head -c ${MEBIBYTE} /dev/zero >&3`, { stdio: [...stdio] }));
});

children('the output of a child that is read loses nothing', async () => {
  const path = join(tempDirectory(), 'output');
  const child = shell(`head -c ${MEBIBYTE} /dev/zero`);
  const file = child.stdout?.pipe(createWriteStream(path));
  await completion(child);
  await completion(file);
  assert.is(statSync(path).size, MEBIBYTE);
});

children('a child that had ended before it was returned', async () => {
  for (const stdio of ['pipe', 'ignore'] as const) {
    const good = shell('exit 0', { stdio });
    const bad = shell('exit 4', { stdio });
    const killed = shell('kill -TERM $$', { stdio });
    await Promise.all([good, bad, killed].map((child) => once(child, 'close')));
    await completion(good);
    assert.is((await failureOf(completion(bad))).exitCode, 4);
    assert.is((await failureOf(completion(killed))).signal, 'SIGTERM');
  }
});

children('the input of a child is left to whoever writes it', async () => {
  const child = shell('cat');
  const flowing = () => child.stdin && 'readableFlowing' in child.stdin && child.stdin.readableFlowing;
  const before = flowing();
  const done = completion(child);
  assert.is(flowing(), before);
  child.stdin?.end('written');
  await done;
});

children('a child that has exited, and left one of its own behind that still speaks', async () => {
  const go = join(tempDirectory(), 'go');
  const script = '{ until [ -e "$0" ]; do sleep 0.01; done; echo last words >&2; } & exit 6';
  const child = spawn('sh', ['-c', script, go]);
  const exited = once(child, 'exit');
  const ended = failureOf(completion(exited.then(() => child)));
  await exited;
  await setImmediate();
  writeFileSync(go, '');
  const failure = await ended;
  assert.is(failure.exitCode, 6);
  assert.is(failure.stderr, 'last words\n');
});

children('an async function that resolves to a child', async () => {
  const path = join(tempDirectory(), 'written');
  const start = async () => {
    await setImmediate();
    return spawn('sh', ['-c', 'echo done > "$0"', path]);
  };
  await completion(start());
  assert.is(readFileSync(path, 'utf8'), 'done\n');
  assert.is((await failureOf(completion((async () => shell('exit 5'))()))).exitCode, 5);
});

children.run();

const wrapped = suite('completion: failures of a wrapped extractor');

const failures: Record<string, [expected: string, extract: (directory: string) => unknown]> = {
  'throws at once': [
    'thrown',
    () => {
      throw new Error('thrown');
    },
  ],
  rejects: ['rejected', async () => Promise.reject(new Error('rejected'))],
  'returns a stream that fails': ['ENOENT', (directory) => createReadStream(join(directory, 'no-such-file'))],
  'returns a child that fails': ['with code 9: gone', () => shell('echo gone >&2; exit 9')],
  'returns a child that cannot be started': [
    'ENOENT',
    (directory) => spawn(join(directory, 'no-such-command'), []),
  ],
};

for (const [name, [expected, fail]] of Object.entries(failures)) {
  wrapped(`an extractor that ${name} leaves nothing behind`, async () => {
    const parent = tempDirectory();
    const extract = wrapExtractor(
      (archive: string, directory: string) => {
        writeFileSync(join(directory, 'first'), archive);
        return fail(directory);
      },
      { manifest: false },
    );
    const failure = await failureOf(extract('any', join(parent, 'out')).then(() => undefined));
    assert.match(failure.message, expected);
    assert.equal(readdirSync(parent), []);
  });
}

wrapped.run();
