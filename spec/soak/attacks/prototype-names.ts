import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest, wrapExtractor } from '../../../lib/index.ts';
import type { ManifestInput } from '../../../lib/manifest/manifest.ts';
import type { ApplyOptions } from '../../../lib/options.ts';
import { attackedPasses, reasonsOf } from '../../helpers/passes.ts';
import { packTar } from '../../helpers/tar.ts';
import { addToTree, makeTree, modeOf, tempDirectory } from '../../helpers/tree.ts';
import { packZip } from '../../helpers/zip.ts';
import { type Result, underWatch, type Watch } from '../attack.ts';

const names = Object.getOwnPropertyNames(Object.prototype).sort();
const files = names.flatMap((name) => names.map((below) => `${name}/${below}`));
const missing = names.map((name) => `gone/${name}`);

/**
 * `__proto__`, `constructor`, `hasOwnProperty` and their like are paths as any other: in the tree, in a manifest of each
 * kind, as globs, in the report. No prototype is changed.
 */
export function prototypeNames(seconds: number): Promise<Result> {
  return underWatch(async (watch) => {
    const root = makeTree(Object.fromEntries(files.map((path) => [path, 0o644])));
    addToTree(root, Object.fromEntries(names.map((name) => [`links/${name}`, `-> ../gone-too/${name}`])));
    const manifests = await manifestsOf([...files, ...missing]);
    const before = prototypeFacts();
    const round = async () => {
      await walk(watch, root);
      for (const [kind, manifest] of manifests) await listed(watch, root, kind, manifest);
      await extracted(watch);
      await refused(watch, root);
      watch.must(prototypeFacts() === before, `Object.prototype is ${prototypeFacts()}`);
    };
    await watch.rounds(seconds, round);
  });
}

function prototypeFacts(): string {
  const inherited: string[] = [];
  for (const key in {}) inherited.push(key);
  return `${Object.getOwnPropertyNames(Object.prototype).sort()} ${inherited}`;
}

/** A manifest of each kind that names the paths, every one as an executable where it can say so. */
async function manifestsOf(paths: readonly string[]): Promise<Map<string, ManifestInput>> {
  const directory = tempDirectory();
  const sources: Record<string, string | Uint8Array> = {
    lines: paths.map((path) => `${path}\n`).join(''),
    nul: paths.map((path) => `${path}\0`).join(''),
    json: JSON.stringify(paths),
    // Properties of these names, too, as no object literal can have them.
    entries: `[${paths.map((path) => `{"__proto__":{"mode":4095},"constructor":1,"toString":[],"path":"${path}"}`)}]`,
    record: `${paths.map((path) => `${path},,`).join('\n')}\nx.dist-info/RECORD,,\n`,
    tar: packTar(paths.map((name) => ({ name }))),
    zip: packZip(Object.fromEntries(paths.map((path) => [path, { mode: 0o100644 }]))),
  };
  const manifests = new Map<string, ManifestInput>([['strings', paths]]);
  for (const [kind, content] of Object.entries(sources)) {
    writeFileSync(join(directory, kind), content);
    manifests.set(kind, await readManifest(join(directory, kind)));
  }
  return manifests;
}

async function walk(watch: Watch, root: string): Promise<void> {
  for (const { apply, backend } of attackedPasses) {
    for (const path of files) chmodSync(join(root, path), 0o644);
    // Files in the directory of each name get x, but for one that is ignored.
    const options: ApplyOptions = {
      executable: names.map((name) => `${name}/*`),
      ignore: '*/constructor',
      umask: 0,
    };
    const changes: string[] = [];
    const { counts, links } = await apply(root, { ...options, onChange: ({ path }) => changes.push(path) });
    const expected = files.filter((path) => !path.endsWith('/constructor'));
    watch.must(String(changes.sort()) === String(expected.sort()), `${backend}: changed ${changes.length}`);
    watch.must(
      counts.ignored === names.length + 1,
      `${backend}: ignored ${counts.ignored}, not ${names.length + 1}`,
    );
    watch.must(links.length === names.length - 1, `${backend}: ${links.length} links`);
    watch.must(modeOf(root, '__proto__/__proto__') === 0o755, `${backend}: __proto__ was left out`);
  }
}

async function listed(watch: Watch, root: string, kind: string, manifest: ManifestInput): Promise<void> {
  for (const { apply, backend } of attackedPasses) {
    for (const path of files) chmodSync(join(root, path), 0o644);
    const options: ApplyOptions = {
      manifest,
      mode: 0o640,
      verify: 'presence',
      strict: false,
      retry: false,
      discover: true,
    };
    const report = await apply(root, options);
    const lost = kind === 'record' ? [...missing, 'x.dist-info/RECORD'] : missing;
    const expected = lost.map((path) => `${path}: missing`).sort();
    const reasons = reasonsOf(report);
    watch.must(String(reasons) === String(expected), `${backend}, ${kind}: ${reasons}`);
    const written = JSON.parse(JSON.stringify(report)) as { unresolved: { path: string }[] };
    watch.must(
      String(written.unresolved.map(({ path }) => path)) === String([...lost].sort()),
      `${backend}, ${kind}: JSON`,
    );
    const wrong = files.filter((path) => modeOf(root, path) !== 0o640);
    watch.must(wrong.length === 0, `${backend}, ${kind}: left out ${wrong}`);
  }
}

/** An archive and a destination of these names. */
async function extracted(watch: Watch): Promise<void> {
  const directory = tempDirectory();
  const archive = packZip(Object.fromEntries(files.map((path) => [path, { mode: 0o100755 }])));
  const shape = Object.fromEntries(files.map((path) => [path, 0o644]));
  const extract = wrapExtractor((_archive: Buffer, to: string) => addToTree(to, shape), { umask: 0 });
  const destination = join(directory, '__proto__');
  const { counts, outcome } = await extract(archive, destination);
  watch.must(outcome === 'created' && counts.changed === files.length, `${outcome}, ${counts.changed}`);
  watch.must(modeOf(destination, 'constructor/__proto__') === 0o755, 'not extracted');
}

/** As names of options they are unknown ones. */
async function refused(watch: Watch, root: string): Promise<void> {
  for (const name of names) {
    const options = JSON.parse(`{ "${name}": 1 }`) as ApplyOptions;
    for (const { apply, backend } of attackedPasses) {
      const error: unknown = await apply(root, options).catch((reason: unknown) => reason);
      const isRefusal = error instanceof TypeError && error.message.includes(name);
      watch.must(isRefusal, `${backend}, option ${name}: ${error}`);
    }
  }
}
