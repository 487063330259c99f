import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  applyPermissions,
  ManifestError,
  type PermissionReport,
  readManifest,
  UnresolvedEntriesError,
  type UnresolvedEntryError,
  wrapExtractor,
} from '../lib/index.ts';
import { writeBundle } from './helpers/bundle.ts';
import { canUseByteNames } from './helpers/runtime.ts';
import { makeTree, tempDirectory } from './helpers/tree.ts';

const test = suite('errors');

/** What a call rejects with. */
async function rejection<T extends Error>(call: Promise<unknown>): Promise<T> {
  return call.then(
    () => assert.unreachable('it was to be rejected') as never,
    (error: T) => error,
  );
}

/** A pass that leaves entries of many kinds unresolved. */
async function unresolved(): Promise<UnresolvedEntriesError> {
  const root = makeTree({ short: '12', d: '-> short', lost: '-> nowhere', 'e/f': 0o600 });
  const manifest = [
    { path: 'short', size: 3, mode: 0o644 },
    'never',
    { path: 'lost', type: 'symlink' as const, linkTarget: 'elsewhere' },
    'd/below',
    { path: 'e', type: 'file' as const },
  ];
  return rejection(applyPermissions(root, { manifest, retry: false, discover: true }));
}

test('a message is one harmless line, whatever the root is called', async () => {
  const root = join(tempDirectory(), 'forged\nline \u202e\u001b[31m');
  mkdirSync(root);
  const { message } = await rejection(applyPermissions(root, { manifest: ['never\n'], retry: false }));
  assert.match(message, /^1 missing in [ -~]*never[ -~]*$/);
});

/** Every documented field of an unresolved entry. */
const fieldsOf = ({
  path,
  reason,
  code,
  syscall,
  expected,
  actual,
  target,
  attempts,
  elapsedMs,
  message,
}: UnresolvedEntryError) => ({
  path,
  reason,
  code,
  syscall,
  expected,
  actual,
  target,
  attempts,
  elapsedMs,
  message,
});

const reportOf = ({ unresolved: entries, ...report }: PermissionReport) => ({
  ...report,
  unresolved: entries.map(fieldsOf),
});
/** As JSON has it: without what is undefined. */
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('structuredClone and JSON keep a report and everything in it', async () => {
  const { report } = await unresolved();
  assert.ok(report.unresolved.length > 3 && report.links.length === 0);
  assert.equal(reportOf(structuredClone(report)), reportOf(report));
  assert.equal(asJson(reportOf(asJson(report) as PermissionReport)), asJson(reportOf(report)));
});

test('structuredClone and JSON keep an UnresolvedEntriesError, its message too', async () => {
  const error = await unresolved();
  for (const copy of [structuredClone(error), JSON.parse(JSON.stringify(error)) as UnresolvedEntriesError]) {
    assert.is(copy.name, 'UnresolvedEntriesError');
    assert.is(copy.code, 'ERR_PERMWALK_UNRESOLVED');
    assert.is(copy.message, error.message);
    assert.equal(asJson(reportOf(copy.report)), asJson(reportOf(error.report)));
  }
  assert.is(structuredClone(error).errors.length, error.errors.length);
  assert.equal(Object.keys(JSON.parse(JSON.stringify(error))), ['name', 'code', 'message', 'report']);
});

test('structuredClone and JSON keep a ManifestError', async () => {
  const calls = [
    () => readManifest('/none/such'),
    () => applyPermissions(makeTree({}), { manifest: ['../up'] }),
  ];
  for (const call of calls) {
    const error = await rejection<ManifestError>(call());
    assert.instance(error, ManifestError);
    const { name, code, message, source, path } = error;
    for (const copy of [structuredClone(error), JSON.parse(JSON.stringify(error)) as ManifestError]) {
      assert.equal(
        [copy.name, copy.code, copy.message, copy.source, copy.path],
        [name, code, message, source, path],
      );
    }
  }
});

test('structuredClone and JSON keep a manifest, and what they leave is one', async () => {
  const folder = tempDirectory();
  const manifest = await readManifest(
    writeBundle(join(folder, 'a.zip'), { 'bin/run': '1', 'lib/late': '22' }),
  );
  const root = makeTree({ 'bin/run': { mode: 0o644, content: '1' }, 'lib/late': '2' });
  for (const copy of [structuredClone(manifest), JSON.parse(JSON.stringify(manifest)) as typeof manifest]) {
    assert.equal(asJson({ ...copy }), asJson({ ...manifest }));
    assert.equal(
      copy.entries.map((entry) => entry.path),
      ['bin/run', 'lib/late'],
    );
    const { report } = await rejection<UnresolvedEntriesError>(
      applyPermissions(root, { manifest: copy, retry: false }),
    );
    assert.equal(
      report.unresolved.map(({ path, reason }) => [path, reason]),
      [['lib/late', 'size-mismatch']],
    );
  }
});

test('they are errors all the same', async () => {
  const error = await unresolved();
  const entry = error.errors[0] as UnresolvedEntryError;
  assert.instance(error, Error);
  assert.instance(error, AggregateError);
  assert.instance(error, UnresolvedEntriesError);
  assert.instance(entry, Error);
  assert.is(String(error), `UnresolvedEntriesError: ${error.message}`);
  assert.is(String(entry), `UnresolvedEntryError: ${entry.message}`);
  assert.match(error.stack ?? '', /^UnresolvedEntriesError: [^\n]*\n +at /);
  const failure = await rejection<ManifestError>(readManifest('/none/such'));
  assert.match(failure.stack ?? '', /^ManifestError: \/none\/such: cannot be read[^\n]*\n +at /);
  assert.instance(failure.cause, Error);
  for (const one of [error, entry, failure]) assert.match(inspect(one), one.message.slice(0, 40));
});

/** Names that end a line, reorder it, or talk to a terminal. */
const hazards = [
  'a\nb',
  'a\u001b[2J',
  'a\u007fb',
  'a\u009b31m',
  'a\u202eb',
  'a\u2066b',
  'a\u2028b',
  'a\u2029b',
  'a\ufeffb',
];
const hazardous = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test('no message has control or bidirectional characters, or ends a line', async () => {
  const folder = tempDirectory();
  for (const hazard of hazards) {
    const root = makeTree({ [`${hazard}/f`]: 0o600 });
    const list = join(folder, `${hazard}.json`);
    writeFileSync(list, JSON.stringify([`../${hazard}`]));
    mkdirSync(join(folder, `${hazard}.there`), { recursive: true });
    const extract = wrapExtractor(() => {}, { manifest: false });
    const failures = [
      () => applyPermissions(root, { manifest: [`${hazard}.1`], retry: false }),
      () =>
        applyPermissions(root, {
          manifest: [{ path: hazard, type: 'symlink', linkTarget: hazard }],
          retry: false,
        }),
      () => applyPermissions(root, { manifest: [`../${hazard}`] }),
      () => applyPermissions(root, { manifest: [{ path: hazard, size: hazard as never }] }),
      () => applyPermissions(join(root, hazard, 'none')),
      () => applyPermissions(join(root, hazard, 'f')),
      () => applyPermissions(root, { mode: `u+${hazard}` }),
      () => applyPermissions(root, { ignore: `${hazard}{` }),
      () => applyPermissions(root, { [hazard]: 1 }),
      () => applyPermissions(root, { verify: hazard as never }),
      () => readManifest(list),
      () => readManifest(join(folder, hazard)),
      () => extract('x', join(folder, `${hazard}.there`)),
      () => extract('x', list),
    ];
    for (const [index, failure] of failures.entries()) {
      const error = await rejection(failure());
      const where = `${JSON.stringify(hazard)} ${index} ${JSON.stringify(error.message)}`;
      assert.not.match(error.message, hazardous, where);
      if (error instanceof UnresolvedEntriesError) {
        for (const entry of error.errors) assert.not.match(entry.message, hazardous, where);
        assert.is(error.errors[0]?.path.startsWith(hazard), true, 'the path itself is as it is');
      }
    }
  }
});

if (canUseByteNames()) {
  test('nor bytes that are not UTF-8', async () => {
    const root = makeTree({});
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x61, 0xff])]), '');
    const error = await rejection<UnresolvedEntriesError>(applyPermissions(root, { ignore: 'x' }));
    assert.match(error.message, 'a\\udcff');
    assert.ok(error.message.isWellFormed());
  });
}

test.run();
