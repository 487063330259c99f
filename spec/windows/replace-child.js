/**
 * Replaces a tree again and again by one of these files, and prints what came of each.
 *
 *     node replace-child.js DESTINATION FILES COUNT [--kill-after RENAMES] [--no-pipes] [--hang]
 *
 * FILES is JSON: text by path. JavaScript, because a process that reads TypeScript takes twice as long to start.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'kill-after': { type: 'string' },
    'no-pipes': { type: 'boolean' },
    hang: { type: 'boolean' },
  },
});
const [destination, files, count] = positionals;
const { wrapExtractor } = await import(new URL('../../dist/index.js', import.meta.url).href);

if (values['kill-after'] !== undefined) {
  const { renameSync } = fs;
  let left = Number(values['kill-after']);
  fs.renameSync = (...parameters) => {
    renameSync(...parameters);
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
  syncBuiltinESMExports();
}
if (values['no-pipes']) {
  net.Server.prototype.listen = function listen() {
    process.nextTick(() => this.emit('error', Object.assign(new Error('no pipes'), { code: 'EACCES' })));
    return this;
  };
}

const extract = async (_, directory) => {
  for (const [path, text] of Object.entries(JSON.parse(files))) {
    fs.mkdirSync(dirname(join(directory, path)), { recursive: true });
    fs.writeFileSync(join(directory, path), text);
  }
  if (!values.hang) return;
  process.stdout.write('hanging\n');
  // Until somebody says so.
  while (!fs.existsSync(`${destination}.go`)) await new Promise((resolve) => setTimeout(resolve, 20));
};
for (let index = 0; index < Number(count); index += 1) {
  const wrapped = wrapExtractor(extract, { manifest: false, existing: 'replace' });
  const { outcome } = await wrapped('archive', destination);
  process.stdout.write(`${outcome}\n`);
}
