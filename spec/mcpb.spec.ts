import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ManifestError } from '../lib/errors.ts';
import { readManifest } from '../lib/manifest/read.ts';
import { readZipManifest } from '../lib/manifest/zip.ts';
import { applyPermissions } from '../lib/pass/apply.ts';
import { extent } from './helpers/extent.ts';
import { makeTree, modeOf, modesBelow, tempDirectory } from './helpers/tree.ts';
import {
  alter,
  factsOf,
  failureOf,
  findRecords,
  hasCommand,
  type PackedEntry,
  packZip,
  run,
} from './helpers/zip.ts';

const scratch = tempDirectory();
const at = (name: string): string => join(scratch, name);
const mcpb = fileURLToPath(new URL('../node_modules/.bin/mcpb', import.meta.url));

/** What a bundle's manifest holds besides its server. */
const around = {
  manifest_version: '0.3',
  name: 'demo',
  version: '1.0.0',
  description: 'A demo',
  author: { name: 'A' },
};
const binary = {
  type: 'binary',
  entry_point: 'server/run',
  mcp_config: { command: `\${__dirname}/server/run` },
};

/** Entries of a bundle beside its manifest, without modes. */
const files: Record<string, PackedEntry> = {
  'server/run': { content: 'program' },
  'server/run.exe': { content: 'program' },
  'server/other': { content: 'other' },
  node: { content: 'not the node that a bare command finds' },
  'server/venv/bin/python': { content: 'python' },
};

/** Modes that the manifest of an archive gives, by path, where it gives any. */
async function modesOf(bytes: Uint8Array): Promise<Record<string, number>> {
  const known = (await readZipManifest(bytes)).entries.filter(({ mode }) => mode !== undefined);
  return Object.fromEntries(known.map(({ path, mode = 0 }) => [path, mode]));
}

/** The same of a bundle with this server, or with this text as its manifest. */
function modesWith(server: unknown, entries = files): Promise<Record<string, number>> {
  const content = typeof server === 'string' ? server : JSON.stringify({ ...around, server });
  return modesOf(packZip({ ...entries, 'manifest.json': { content } }));
}

const marked = suite('mcpb: what is run');

marked('in a bundle whose paths begin with a dot', async () => {
  const content = JSON.stringify({ ...around, server: binary });
  const dotted = Object.fromEntries(Object.entries(files).map(([path, entry]) => [`./${path}`, entry]));
  assert.equal(await modesOf(packZip({ './manifest.json': { content }, ...dotted })), {
    'server/run': 0o755,
  });
});

marked('the entry point of a binary server', async () => {
  assert.equal(await modesWith(binary), { 'server/run': 0o755 });
  for (const entry_point of [
    'server/run',
    './server/run',
    'server//run',
    'server\\run',
    `\${__dirname}/server/run`,
  ]) {
    assert.equal(await modesWith({ type: 'binary', entry_point }), { 'server/run': 0o755 }, entry_point);
  }
});

marked('the entry point of any other server is not run by itself', async () => {
  for (const type of ['node', 'python', 'uv']) {
    assert.equal(await modesWith({ ...binary, type, mcp_config: { command: type } }), {}, type);
  }
});

marked('a command in the bundle, of any server', async () => {
  const python = { 'server/venv/bin/python': 0o755 };
  for (const command of [
    `\${__dirname}/server/venv/bin/python`,
    `\${__dirname}\${/}server\${/}venv\${pathSeparator}bin\${/}python`,
    `\${__dirname}\\server\\venv\\bin\\python`,
    `\${__dirname}/./server/../server/venv/bin/python`,
    'server/venv/bin/python',
    './server/venv/bin/python',
  ]) {
    assert.equal(
      await modesWith({ type: 'python', entry_point: 'main.py', mcp_config: { command } }),
      python,
      command,
    );
  }
});

marked('commands of other platforms', async () => {
  const platform_overrides = {
    win32: { command: `\${__dirname}/server/run.exe` },
    darwin: { command: 'server/other', args: ['x'] },
    linux: { env: {} },
    odd: null,
  };
  assert.equal(await modesWith({ ...binary, mcp_config: { command: 'server/run', platform_overrides } }), {
    'server/run': 0o755,
    'server/run.exe': 0o755,
    'server/other': 0o755,
  });
});

marked('no command that the system finds, or that lies elsewhere', async () => {
  for (const command of [
    'node',
    '/node',
    `\${__dirname}`,
    `\${__dirname}/`,
    `\${HOME}/node`,
    `\${__dirname}/../node`,
    '../node',
    '',
    7,
    null,
    ['server/run'],
  ]) {
    assert.equal(
      await modesWith({ type: 'node', entry_point: 'server/run', mcp_config: { command } }),
      {},
      String(command),
    );
  }
  const missing = { type: 'binary', entry_point: 'not/there', mcp_config: { command: 'server' } };
  assert.equal(await modesWith(missing, { ...files, 'server/': {} }), {}, 'a directory is not run');
});

marked('modes that are known get x where they have r, and keep what they have', async () => {
  const modes: [given: number, expected: number][] = [
    [0o100644, 0o755],
    [0o100640, 0o750],
    [0o100600, 0o700],
    [0o100200, 0o200],
    [0o100744, 0o744],
    [0o100755, 0o755],
    [0o104600, 0o4700],
    [0o100000, 0o755],
    [0o000644, 0o755],
  ];
  for (const [mode, expected] of modes) {
    const read = await modesWith(binary, { 'server/run': { mode }, 'server/other': { mode: 0o100644 } });
    assert.equal(read, { 'server/run': expected, 'server/other': 0o644 }, mode.toString(8));
  }
  assert.equal(await modesWith(binary, { 'server/run': { mode: 0o120777, content: 'other' } }), {
    'server/run': 0o777,
  });
});

marked('a manifest.json of another kind marks nothing', async () => {
  const texts = [
    '',
    '{',
    'null',
    '7',
    '[]',
    '"server"',
    '{}',
    '{"server":null}',
    '{"server":"server/run"}',
    '{"server":["server/run"]}',
    '{"server":{"entry_point":"server/run"}}',
    '{"server":{"type":1,"entry_point":"server/run","mcp_config":{"command":"server/run"}}}',
    '{"server":{"type":"binary","entry_point":["server/run"],"mcp_config":[{"command":"server/run"}]}}',
    '{"server":{"type":"binary","mcp_config":{"platform_overrides":["server/run"]}}}',
    '{"__proto__":{"server":{"type":"binary","entry_point":"server/run"}}}',
    `${JSON.stringify({ server: binary })} and more`,
    JSON.stringify({ manifest_version: 3, name: 'A browser extension', action: {} }),
  ];
  for (const text of texts) assert.equal(await modesWith(text), {}, text);
  const server = JSON.stringify({ server: binary });
  assert.equal(await modesWith(`\ufeff${server}`), { 'server/run': 0o755 });
  assert.equal(await modesOf(packZip({ ...files, 'sub/manifest.json': { content: server } })), {});
});

marked('a manifest.json of more than 1 MiB is not read, and neither is one that cannot be', async () => {
  const server = JSON.stringify({ server: binary });
  assert.equal(await modesWith(server.padEnd(1 << 20)), { 'server/run': 0o755 });
  assert.equal(await modesWith(server.padEnd((1 << 20) + 1)), {});
  const archive = packZip({ 'manifest.json': { content: server }, ...files });
  const encrypted = alter(archive, (copy, _, header) => copy.writeUInt16LE(1, header + 8));
  assert.equal(await modesOf(encrypted), {});
  const unknownMethod = alter(archive, (copy, _, header) => copy.writeUInt16LE(12, header + 10));
  assert.equal(await modesOf(unknownMethod), {});
});

marked('a manifest.json whose content is broken breaks the archive', async () => {
  const archive = packZip({ 'manifest.json': { content: JSON.stringify({ server: binary }) }, ...files });
  const changes: [(copy: Buffer, end: number, header: number) => void, RegExp][] = [
    [
      (copy, _, header) => copy.writeUInt32LE(7, header + 16),
      /entry 1 \("manifest\.json"\) at offset \d+: has content whose CRC-32 is not/,
    ],
    [(copy, _, header) => copy.writeUInt32LE(9, header + 24), /states content of 9 bytes, but it has \d+/],
    [(copy) => copy.fill(0xff, 43, 60), /entry 1 \("manifest\.json"\) at offset \d+: invalid/],
    [(copy) => copy.writeUInt8(0, 1), /invalid local file header signature/],
  ];
  for (const [change, fault] of changes)
    assert.match((await failureOf(readZipManifest(alter(archive, change)))).message, fault);
  const bomb = alter(packZip({ 'manifest.json': { content: ' '.repeat(3 << 20) } }), (copy, _, header) =>
    copy.writeUInt32LE(100, header + 24),
  );
  assert.match(
    (await failureOf(readZipManifest(bomb))).message,
    /Cannot create a Buffer larger than 1048576 bytes/,
  );
});

marked('any manifest.json gives a manifest', async () => {
  const server = fc.record(
    {
      type: fc.oneof(fc.constant('binary'), fc.jsonValue()),
      entry_point: fc.oneof(fc.constant('server/run'), fc.string(), fc.jsonValue()),
      mcp_config: fc.oneof(
        fc.record(
          { command: fc.oneof(fc.constant('server/other'), fc.string()), platform_overrides: fc.jsonValue() },
          { requiredKeys: [] },
        ),
        fc.jsonValue(),
      ),
    },
    { requiredKeys: [] },
  );
  let marks = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(server, fc.jsonValue()), async (each) => {
      const modes = await modesWith(each);
      for (const [path, mode] of Object.entries(modes)) assert.ok(path in files && mode === 0o755);
      marks += Object.keys(modes).length;
    }),
    { numRuns: extent({ short: 100, full: 300 }) },
  );
  assert.ok(marks > 0, `${marks} marks`);
});

marked('a pass makes them executable', async () => {
  const root = makeTree({
    'manifest.json': JSON.stringify({ ...around, server: binary }),
    'server/run': 'program',
    'server/other': 'other',
  });
  const entries = Object.fromEntries(
    ['manifest.json', 'server/run', 'server/other'].map((name) => [
      name,
      { content: readFileSync(join(root, name), 'utf8') },
    ]),
  );
  writeFileSync(at('bundle.mcpb'), packZip(entries));
  const manifest = await readManifest(at('bundle.mcpb'));
  await applyPermissions(root, { manifest, umask: 0o022 });
  assert.equal(modesBelow(root), {
    '.': '755',
    'manifest.json': '644',
    server: '755',
    'server/run': '755',
    'server/other': '644',
  });
});

marked.run();

const signed = suite('mcpb: bundles by mcpb');

/** A bundle as `mcpb pack` makes it. */
function packBundle(name: string): string {
  const root = at(`${name}-source`);
  const icon = {
    'manifest.json': JSON.stringify({
      ...around,
      server: { ...binary, mcp_config: { ...binary.mcp_config, args: [] } },
    }),
  };
  for (const [path, content] of Object.entries({
    ...icon,
    'server/run': '#!/bin/sh\n',
    'lib/data': 'data',
  })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  chmodSync(join(root, 'server/run'), 0o600);
  run(process.execPath, [mcpb, 'pack', root, at(`${name}.mcpb`)]);
  return at(`${name}.mcpb`);
}

let bundle = '';
signed.before(() => {
  bundle = packBundle('plain');
});

signed('packed without exec bits', async () => {
  assert.is(modeOf(at('plain-source'), 'server/run'), 0o600);
  const run = (await readManifest(bundle)).entries.find(({ path }) => path === 'server/run');
  assert.is((run?.mode ?? 0) & 0o100, 0o100);
});

const hasOpenssl = hasCommand('openssl');
const withOpenssl = hasOpenssl ? signed : signed.skip;
if (!hasOpenssl) process.stderr.write('openssl is not installed: the spec of signed bundles is skipped\n');

withOpenssl('the signature that mcpb puts behind it is passed over', async () => {
  const plain = await readManifest(bundle);
  const bytes = readFileSync(bundle);
  writeFileSync(at('signed.mcpb'), bytes);
  const [key, certificate] = [at('key.pem'), at('cert.pem')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=spec', '-days', '2'];
  run('openssl', [...request, '-keyout', key, '-out', certificate]);
  run(process.execPath, [mcpb, 'sign', '--cert', certificate, '--key', key, at('signed.mcpb')]);
  const withSignature = readFileSync(at('signed.mcpb'));
  assert.ok(
    withSignature.length > bytes.length + 500 &&
      withSignature.subarray(-12).equals(Buffer.from('MCPB_SIG_END')),
  );
  assert.equal(factsOf(await readManifest(at('signed.mcpb'))), factsOf(plain));
  assert.equal(factsOf(await readZipManifest(withSignature)), factsOf(plain));
  // Later versions of mcpb make the signature the archive's comment.
  const { end } = findRecords(bytes);
  withSignature.writeUInt16LE(withSignature.length - end - 22, end + 20);
  assert.equal(factsOf(await readZipManifest(withSignature)), factsOf(plain));
});

signed('what only resembles a signature is not passed over', async () => {
  const bytes = packZip(files);
  const signature = (header: string, length: number, footer: string): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(length);
    return Buffer.concat([bytes, Buffer.from(header), size, Buffer.alloc(100), Buffer.from(footer)]);
  };
  assert.is((await readZipManifest(signature('MCPB_SIG_V1', 100, 'MCPB_SIG_END'))).entries.length, 5);
  for (const other of [
    signature('MCPB_SIG_V2', 100, 'MCPB_SIG_END'),
    signature('MCPB_SIG_V1', 99, 'MCPB_SIG_END'),
    signature('MCPB_SIG_V1', 2 ** 32 - 1, 'MCPB_SIG_END'),
    signature('MCPB_SIG_V1', 100, 'MCPB_SIG_END '),
    Buffer.concat([bytes, Buffer.from('MCPB_SIG_V1MCPB_SIG_END')]),
    Buffer.concat([bytes, Buffer.from('MCPB_SIG_END')]),
  ]) {
    const { entries, warnings } = await readZipManifest(other);
    assert.is(entries.length, 5);
    assert.equal(
      warnings.map(({ code }) => code),
      ['junk-after-end'],
    );
  }
  const alone = Buffer.from('MCPB_SIG_V1\0\0\0\0MCPB_SIG_END');
  assert.instance(await readZipManifest(alone).catch((error) => error), ManifestError);
});

signed.run();
