/**
 * Passes and extractions in the imitated Electron: `electron-child.js URL GROUND [COMMAND]` prints what came of them, and the
 * version that the command prints, in the line after it.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const [url, ground, command] = process.argv.slice(2);
const { applyPermissions, readManifest, recordManifest, wrapExtractor } = await import(url);
globalThis.askedOfPatchedFs();

/** What a step came to, or the error that it ended with; and what it asked of the patched node:fs. */
async function outcomeOf(act) {
  const outcome = await act().catch(({ name, code, message, report }) => ({
    error: `${name} ${code ?? ''}`.trim(),
    message,
    report,
  }));
  return { ...outcome, asked: globalThis.askedOfPatchedFs() };
}

const unzip = (archive, to) => execFileSync('unzip', ['-q', archive, '-d', to]);
const extract = wrapExtractor(unzip, { existing: 'replace', durable: true, retry: false });
const to = join(ground, 'extracted');

const outcomes = {
  pass: await outcomeOf(() => applyPermissions(join(ground, 'tree'), { mode: 'a+rX' })),
  file: await outcomeOf(() => applyPermissions(join(ground, 'good.asar'))),
  record: await outcomeOf(() => recordManifest(join(ground, 'tree'), { digest: 'sha256' })),
  created: await outcomeOf(() => extract(join(ground, 'bundle.zip'), to)),
  replaced: await outcomeOf(() => extract(join(ground, 'bundle.zip'), to)),
  shipped: await outcomeOf(() => readManifest(join(ground, 'app.asar/shipped.zip'))),
};
console.log(JSON.stringify(outcomes));
if (command !== undefined) {
  process.argv.splice(2, Number.POSITIVE_INFINITY, '--version');
  await import(command);
}
