import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const kept = new URL('../../node_modules/.cache/permwalk-specs/', import.meta.url);

const digestOf = (text) => createHash('sha256').update(text).digest('hex');

/** What makes the JavaScript: that of another esbuild, or of other options, is not kept. */
const maker = ['../../node_modules/esbuild/package.json', './hooks.js']
  .map((path) => readFileSync(new URL(path, import.meta.url), 'utf8'))
  .join('');

/** Hook of node:module: https://nodejs.org/api/module.html#loadurl-context-nextload */
export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const text = readFileSync(new URL(url), 'utf8');
  return { format: 'module', shortCircuit: true, source: keptFor(url, text) ?? (await make(url, text)) };
}

/** Where the JavaScript of a file is kept. It ends with the digest of the text that it was made of, and of what made it. */
const fileOf = (url) => new URL(`${digestOf(url)}.js`, kept);
const endingOf = (text) => `\n//${digestOf(text + maker)}\n`;

function keptFor(url, text) {
  try {
    const source = readFileSync(fileOf(url), 'utf8');
    return source.endsWith(endingOf(text)) ? source : undefined;
  } catch {
    return undefined;
  }
}

async function make(url, text) {
  const { transform } = await import('esbuild');
  const sourcefile = fileURLToPath(url);
  const { code } = await transform(text, { loader: 'ts', target: 'node20', sourcemap: 'inline', sourcefile });
  const source = code + endingOf(text);
  const temporary = new URL(`${digestOf(url)}.${process.pid}`, kept);
  try {
    mkdirSync(kept, { recursive: true });
    writeFileSync(temporary, source);
    renameSync(temporary, fileOf(url));
  } catch {
    // Another user's checkout: it is made again next time.
  }
  return source;
}
