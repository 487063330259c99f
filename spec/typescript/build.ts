import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { BUILT, nameOfBuilt } from './built.ts';

/** Beside the scripts of the specs: what they start. */
const others = ['bench/bench.ts'];

/**
 * Make JavaScript of the specs, and of whatever they start in TypeScript, once for a whole run: a process that runs it starts in a
 * third of the time that it takes with `register.js`, which asks a thread for each of some 200 modules.
 */
export async function buildSpecs(checkout: string): Promise<void> {
  const sources = readdirSync(join(checkout, 'spec'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => join('spec', file));
  rmSync(join(checkout, BUILT), { recursive: true, force: true });
  await build({
    absWorkingDir: checkout,
    entryPoints: [...sources, ...others].map((file) => ({ in: file, out: nameOfBuilt(file) })),
    outdir: BUILT,
    bundle: true,
    // What several load is in one file, as it is one module.
    splitting: true,
    chunkNames: 'shared-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    // package.json says that modules have no side effects: some of the specs' are nothing but those.
    ignoreAnnotations: true,
    sourcemap: true,
    sourcesContent: false,
    define: { 'import.meta.url': 'urlOfSource' },
    plugins: [urlsOfSources(checkout)],
    logLevel: 'warning',
  });
}

/** A module that asks where it is hears where its source is: what it names lies there. */
function urlsOfSources(checkout: string): Plugin {
  return {
    name: 'URLs of sources',
    setup({ onLoad }) {
      onLoad({ filter: /\.[jt]s$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes('import.meta.url')) return undefined;
        const source = relative(join(checkout, BUILT), path).replaceAll('\\', '/');
        const declaration = `const urlOfSource = (({ url }) => new URL(${JSON.stringify(encodeURI(source))}, url).href)(import.meta);`;
        // On the first line: those of the source stay what they are.
        return { contents: `${declaration} ${text}`, loader: path.endsWith('.ts') ? 'ts' : 'js' };
      });
    },
  };
}
