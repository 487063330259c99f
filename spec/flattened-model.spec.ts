import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ManifestEntry } from '../lib/manifest/manifest.ts';
import { extent } from './helpers/extent.ts';
import { allPasses } from './helpers/passes.ts';
import { entriesBelow, makeTree, tempDirectory } from './helpers/tree.ts';

// What becomes a link and what does not, in random trees of links, flattened links and directories, held against a model that knows
// nothing of the code; and against the kernel, which says where each link leads.

const RUNS = extent({ short: 15, full: 250 });
/** As many links as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;

type Plant =
  | { kind: 'directory'; entries: [string, Plant][] }
  | { kind: 'file' }
  | { kind: 'link' | 'flattened'; target: string };

/** Everything in a tree, by path; the root is `''`. */
type Model = Map<
  string,
  { kind: 'directory' } | { kind: 'file' } | { kind: 'link' | 'flattened'; target: string }
>;

const name = fc.constantFrom('a', 'b', 'c', '..d');
const component = fc.oneof(
  { weight: 3, arbitrary: name },
  { weight: 3, arbitrary: fc.constant('..') },
  { weight: 1, arbitrary: fc.constantFrom('.', '', '...', 'gone') },
);
/** Stands for a directory outside in the text of a link. */
const OUTSIDE = '/outside';
const target = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.array(component, { minLength: 1, maxLength: 5 }).map((all) => all.join('/') || '.'),
  },
  { weight: 1, arbitrary: fc.constantFrom(OUTSIDE, `${OUTSIDE}/f`, '/', '/..') },
);
const leaf: fc.Arbitrary<Plant> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Plant>({ kind: 'file' }) },
  { weight: 2, arbitrary: target.map((text): Plant => ({ kind: 'link', target: text })) },
  { weight: 4, arbitrary: target.map((text): Plant => ({ kind: 'flattened', target: text })) },
);

function entriesOf(levels: number): fc.Arbitrary<[string, Plant][]> {
  const inIt: fc.Arbitrary<[string, Plant][]> = levels === 0 ? fc.constant([]) : entriesOf(levels - 1);
  const directory = inIt.map((entries): Plant => ({ kind: 'directory', entries }));
  const plant = fc.oneof({ weight: 2, arbitrary: directory }, { weight: 3, arbitrary: leaf });
  return fc.uniqueArray(fc.tuple<[string, Plant]>(name, plant), {
    minLength: 2,
    maxLength: 4,
    selector: ([own]) => own,
  });
}

function modelOf(entries: readonly [string, Plant][], above = '', model: Model = new Map()): Model {
  if (above === '') model.set('', { kind: 'directory' });
  for (const [own, plant] of entries) {
    const path = above === '' ? own : `${above}/${own}`;
    if (plant.kind === 'directory') {
      model.set(path, { kind: 'directory' });
      modelOf(plant.entries, path, model);
    } else model.set(path, plant);
  }
  return model;
}

/** Make the tree of a model. */
function plantModel(model: Model, outside: string): string {
  const root = tempDirectory();
  for (const [path, entry] of model) {
    const full = join(root, path);
    if (entry.kind === 'directory') mkdirSync(full, { recursive: true });
    else if (entry.kind === 'file') writeFileSync(full, 'content');
    else if (entry.kind === 'link') symlinkSync(entry.target.replace(OUTSIDE, outside), full);
    else writeFileSync(full, entry.target);
  }
  return root;
}

const depthOf = (path: string): number => path.split('/').length - 1;
const parentOf = (path: string): string => path.split('/').slice(0, -1).join('/');

/** Whether a text may be restored, as it is written. */
function isWellWritten(text: string, depth: number): boolean {
  const plain = `${text}/`.replaceAll(/\/+/g, '/').replaceAll(/(?<=^|\/)\.\//g, '');
  const ups = /^(?:\.\.\/)*/.exec(plain)?.[0] ?? '';
  return !text.startsWith('/') && ups.length / 3 <= depth && !/(?:^|\/)\.\.\//.test(plain.slice(ups.length));
}

/** Whether what follows from a directory stays below the root, all flattened links that are well written taken for links. */
function staysInside(model: Model, at: string, todo: readonly string[], links: number): boolean {
  const [next, ...rest] = todo;
  if (next === undefined) return true;
  if (next === '' || next === '.') return staysInside(model, at, rest, links);
  if (next === '..') return at !== '' && staysInside(model, parentOf(at), rest, links);
  const path = at === '' ? next : `${at}/${next}`;
  const entry = model.get(path);
  if (entry?.kind === 'directory') return staysInside(model, path, rest, links);
  const text = entry !== undefined && 'target' in entry ? entry.target : undefined;
  if (text !== undefined && (entry?.kind === 'link' || isWellWritten(text, depthOf(path)))) {
    if (links === MOST_LINKS || text.startsWith('/')) return false;
    return staysInside(model, at, [...text.split('/'), ...rest], links + 1);
  }
  if (entry !== undefined && rest.length === 0) return true;
  // It leads nowhere: what is left is taken as it is written.
  let depth = depthOf(path) + 1;
  for (const one of rest) {
    if (one === '..') depth -= 1;
    else if (one !== '' && one !== '.') depth += 1;
    if (depth < 0) return false;
  }
  return true;
}

function isRestored(model: Model, path: string, text: string): boolean {
  return isWellWritten(text, depthOf(path)) && staysInside(model, parentOf(path), text.split('/'), 1);
}

/** Where the kernel says that a path leads; `undefined` where nowhere. */
function realPathOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

const outside = makeTree({ f: 0o644, a: 0o644 });

for (const { title, apply } of allPasses) {
  const test = suite(`flattened links, model: ${title}`);

  test('what stays inside becomes a link, and nothing else does', async () => {
    let restored = 0;
    const property = fc.asyncProperty(entriesOf(2), fc.boolean(), async (entries, discover) => {
      const model = modelOf(entries);
      const root = plantModel(model, outside);
      const flattened = [...model].flatMap(([path, entry]) =>
        entry.kind === 'flattened' ? [{ path, text: entry.target }] : [],
      );
      const manifest = flattened.map(
        ({ path, text }): ManifestEntry => ({ path, type: 'symlink', linkTarget: text }),
      );
      const options = {
        manifest,
        discover,
        flattenedLinks: 'restore',
        danglingLinks: 'skip',
        strict: false,
        retry: false,
      } as const;
      const dry = await apply(root, { ...options, dryRun: true });
      const report = await apply(root, options);
      const facts = ({ counts, links, unresolved }: typeof report) =>
        JSON.stringify({ counts, links, unresolved });
      assert.is(facts(dry), facts(report));
      const becoming = flattened.filter(({ path, text }) => isRestored(model, path, text));
      restored += becoming.length;
      for (const { path, text } of flattened) {
        const full = join(root, path);
        const found = lstatSync(full).isSymbolicLink()
          ? `-> ${readlinkSync(full)}`
          : readFileSync(full, 'utf8');
        assert.is(found, isRestored(model, path, text) ? `-> ${text}` : text, path);
        if (!found.startsWith('-> ')) continue;
        const real = realPathOf(full) ?? root;
        assert.ok(real === root || real.startsWith(`${root}/`), `${path} leads to ${real}`);
      }
      const refused = flattened.filter(({ path }) => !becoming.some((one) => one.path === path));
      assert.equal(
        report.unresolved.map(({ path, reason }) => `${path}: ${reason}`),
        refused.map(({ path }) => `${path}: link-flattened`).sort(),
      );
      assert.is(report.counts.restored, becoming.length);
      assert.is(entriesBelow(root).length, model.size - 1, 'nothing more, nothing less');
    });
    await fc.assert(property, { numRuns: RUNS });
    assert.ok(restored > RUNS / 4, `${restored} were restored`);
  });

  test.run();
}
