/**
 * A host that installs bundles into a cache, as one would use permwalk as it is built: each start downloads to a temporary file of its
 * own, and metadata appear together with the tree. Reads rounds from stdin, a line of JSON each, and prints what came of each.
 *
 *     node host-child.js LIBRARY
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { unzipSync } from 'fflate';

const [, , library] = process.argv;
const { readManifest, stageTree } = await import(library);
let fills = 0;

/** Download to a file, and make its digest on the way. */
async function download(url, path, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const hash = createHash('sha256');
  const file = createWriteStream(path);
  for await (const chunk of Readable.fromWeb(response.body)) {
    hash.update(chunk);
    file.write(chunk);
  }
  file.end();
  await finished(file);
  return hash.digest('hex');
}

/** Unpack, and lose exec bits, as many extractors do. */
async function unpack(archive, directory, hangs) {
  fills += 1;
  const paths = [];
  for (const [name, content] of Object.entries(unzipSync(await readFile(archive)))) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { mode: 0o644 });
    paths.push(path);
  }
  if (hangs) {
    process.stdout.write('hanging\n');
    await sleep(3_600_000);
  }
  return paths;
}

async function loadBundle(url, { cache, isPlain, hangs, signal }) {
  const temporary = await mkdtemp(join(tmpdir(), 'bundle-'));
  try {
    const archive = join(temporary, 'bundle.mcpb');
    const digest = await download(url, archive, signal);
    const metadata = JSON.stringify({ digest });
    if (isPlain) {
      await rm(cache, { recursive: true, force: true });
      for (const path of await unpack(archive, cache, hangs)) await chmod(path, 0o755);
      await writeFile(join(cache, 'metadata.json'), metadata);
      return 'plain';
    }
    const options = { key: digest, existing: 'replace', signal, manifest: () => readManifest(archive) };
    const { outcome } = await stageTree(cache, options, async ({ directory }) => {
      await unpack(archive, directory, hangs);
      await writeFile(join(directory, 'metadata.json'), metadata);
    });
    return outcome;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { urls, stagger = 0, aborts = false, ...round } = JSON.parse(line);
  fills = 0;
  const results = await Promise.allSettled(
    urls.map(async (url, index) => {
      await sleep(index * Math.random() * stagger);
      const signal = aborts && index === 0 ? AbortSignal.timeout(Math.ceil(Math.random() * 20)) : undefined;
      return loadBundle(url, { ...round, signal });
    }),
  );
  const outcomes = results.map(({ value, reason }) => value ?? `${reason.name}: ${reason.message}`);
  process.stdout.write(`${JSON.stringify({ outcomes, fills })}\n`);
}
