import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { numberedFiles, writeBundle } from './helpers/bundle.ts';
import { canMount } from './helpers/child.ts';
import { extent } from './helpers/extent.ts';
import { bundledLibrary } from './helpers/library.ts';
import { javascriptCommand } from './helpers/runtime.ts';
import { modeOf, tempDirectory } from './helpers/tree.ts';

const ROUNDS = extent({ short: 3, full: 100 });
/** How often a host without permwalk may start before its failure must have shown. */
const MAX_PLAIN_ROUNDS = 200;
const KILLS = extent({ short: 1, full: 10 });
const FILES = 40;
/** Milliseconds over which the starts of a round are spread. */
const STAGGER = 20;

const library = bundledLibrary();
const hostScript = fileURLToPath(new URL('helpers/host-child.js', import.meta.url));
const versions = ['one', 'two'];
const directory = tempDirectory();
const digests = new Map<string, string>();
let server: Server;
let urls: string[];
/** Those that go on from test to test, until they are killed. */
let hosts: Host[];

interface Round {
  cache: string;
  urls: string[];
  /** Whether the host does it without permwalk. */
  isPlain?: boolean;
  stagger?: number;
  hangs?: boolean;
  aborts?: boolean;
}

interface RoundResult {
  outcomes: string[];
  fills: number;
}

/** A host in a process of its own. */
class Host {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(launcher: readonly string[] = []) {
    const [program = '', ...args] = [...launcher, ...javascriptCommand, hostScript, library];
    this.child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: tempDirectory() },
    });
    const { stdout } = this.child;
    this.#lines = createInterface({ input: stdout as NonNullable<typeof stdout> })[Symbol.asyncIterator]();
  }

  send(round: Round): void {
    this.child.stdin?.write(`${JSON.stringify(round)}\n`);
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the host has ended: ${this.child.exitCode ?? this.child.signalCode}`);
    return value;
  }

  async round(round: Round): Promise<RoundResult> {
    this.send(round);
    return JSON.parse(await this.line());
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    const closed = once(this.child, 'close');
    if (signal === undefined) this.child.stdin?.end();
    else this.child.kill(signal);
    await closed;
  }
}

/** Which tree lies there. */
function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.birthtimeNs}`;
}

/** The version of a cache that is whole, its metadata among the rest. */
function versionIn(cache: string): string {
  const version = readFileSync(join(cache, 'VERSION'), 'utf8');
  const metadata = JSON.parse(readFileSync(join(cache, 'metadata.json'), 'utf8'));
  assert.equal(metadata, { digest: digests.get(version) });
  for (const name of Object.keys(numberedFiles(FILES, version)))
    assert.is(readFileSync(join(cache, name), 'utf8'), version, name);
  assert.is(modeOf(cache, 'bin/run') & 0o100, 0o100);
  return version;
}

/** Look at a cache until it is over: whoever finds a tree there finds its metadata. */
async function watch(cache: string, isOver: () => boolean): Promise<number> {
  let looks = 0;
  while (!isOver()) {
    const before = identityOf(cache);
    const isWhole = existsSync(join(cache, 'metadata.json'));
    if (before !== undefined && before === identityOf(cache)) {
      assert.ok(isWhole, 'a tree without metadata');
      looks += 1;
    }
    await sleep(1);
  }
  return looks;
}

const test = suite('a host that caches bundles');

test.before(async () => {
  const archives = versions.map((version) =>
    writeBundle(join(directory, `${version}.mcpb`), numberedFiles(FILES, version)),
  );
  for (const [index, archive] of archives.entries()) {
    const digest = createHash('sha256').update(readFileSync(archive)).digest('hex');
    digests.set(versions[index] as string, digest);
  }
  server = createServer(({ url = '' }, response) => response.end(readFileSync(join(directory, url))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  urls = versions.map((version) => `http://127.0.0.1:${port}/${version}.mcpb`);
  hosts = [new Host(), new Host()];
});

test.after(async () => {
  await Promise.all(hosts.map((host) => host.end()));
  server.closeAllConnections();
  server.close();
});

test(`two processes that start three times each, ${ROUNDS} rounds: no failure, and metadata with every tree`, async () => {
  const cache = join(tempDirectory(), 'bundle');
  let isOver = false;
  const watching = watch(cache, () => isOver);
  // It is waited for at the end; until then its failure must not end the process.
  watching.catch(() => undefined);
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const url = urls[round % 2] as string;
      const aborts = round % 3 === 2;
      const starts = { cache, urls: [url, url, url], stagger: STAGGER, aborts };
      const results = await Promise.all(hosts.map((host) => host.round(starts)));
      for (const { outcomes } of results) {
        for (const [index, outcome] of outcomes.entries()) {
          const isGood = ['created', 'replaced'].includes(outcome);
          assert.ok(isGood || (aborts && index === 0 && outcome.startsWith('TimeoutError: ')), outcome);
        }
      }
      assert.is(versionIn(cache), versions[round % 2]);
      // What a callback that does not heed its signal still writes goes when it has ended.
      while (aborts && readdirSync(dirname(cache)).length > 1) await sleep(1);
      assert.equal(readdirSync(dirname(cache)), ['bundle']);
    }
  } finally {
    isOver = true;
  }
  assert.ok((await watching) > 0);
});

test('starts at one moment, each with a download of its own, make one extraction', async () => {
  const cache = join(tempDirectory(), 'bundle');
  const [host] = hosts as [Host, Host];
  const { outcomes, fills } = await host.round({ cache, urls: Array(20).fill(urls[0]) });
  for (const outcome of outcomes) assert.ok(['created', 'replaced'].includes(outcome), outcome);
  assert.ok(fills < 20, `${fills} extractions`);
  const both = await host.round({ cache, urls: [...urls, ...urls] });
  assert.equal(both.outcomes, Array(4).fill('replaced'));
  versionIn(cache);
});

test('the same host without permwalk fails', async () => {
  const cache = join(tempDirectory(), 'bundle');
  for (let round = 1; round <= MAX_PLAIN_ROUNDS; round += 1) {
    const url = urls[round % 2] as string;
    const starts = { cache, urls: [url, url, url], stagger: STAGGER, isPlain: true };
    const results = await Promise.all(hosts.map((host) => host.round(starts)));
    const failures = results.flatMap(({ outcomes }) => outcomes).filter((outcome) => outcome !== 'plain');
    if (failures.some((failure) => /ENOENT.*chmod/.test(failure))) {
      console.log(`  ENOENT … chmod in round ${round}`);
      return;
    }
  }
  assert.unreachable(`not once in ${MAX_PLAIN_ROUNDS} rounds`);
});

/** Ways to start a host anew on the same volume. */
const launchers: [what: string, launcher: string[]][] = [['again', []]];
if (canMount) {
  const launcher = ['unshare', '-pf', '--mount-proc', '--kill-child'];
  launchers.push(['in another process namespace', launcher]);
}

for (const [what, launcher] of extent({ short: launchers.slice(-1), full: launchers })) {
  test(`a host that is killed while it fills, and started ${what}, leaves nothing`, async () => {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const cache = join(tempDirectory(), 'bundle');
      // The one that was started after the kill before is killed next.
      const first = hosts.pop() ?? new Host();
      await first.round({ cache, urls: [urls[0] as string] });
      first.send({ cache, urls: [urls[1] as string], hangs: true });
      assert.is(await first.line(), 'hanging');
      await first.end('SIGKILL');
      assert.is(versionIn(cache), 'one');
      assert.is(readdirSync(dirname(cache)).length, 2);
      const next = new Host(launcher);
      const { outcomes } = await next.round({ cache, urls: [urls[1] as string] });
      hosts.push(next);
      assert.equal(outcomes, ['replaced']);
      assert.is(versionIn(cache), 'two');
      assert.equal(readdirSync(dirname(cache)), ['bundle']);
    }
  });
}

test.run();
