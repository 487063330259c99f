/**
 * Replaces a tree again and again by new versions of it, and prints what came of each.
 *
 *     node replace-child.ts DESTINATION VERSION COUNT [--kill-after RENAMES] [--no-pipes] [--hang]
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { parseArgs } from 'node:util';
import { permwalk, versionOf, writeFiles } from './helpers.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'kill-after': { type: 'string' },
    'no-pipes': { type: 'boolean' },
    hang: { type: 'boolean' },
  },
});
const [destination = '', version = '', count = '1'] = positionals;

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

const extract = async (_: string, directory: string) => {
  writeFiles(directory, versionOf(version));
  if (!values.hang) return;
  process.stdout.write('hanging\n');
  // Until somebody says so.
  while (!fs.existsSync(`${destination}.go`)) await new Promise((resolve) => setTimeout(resolve, 20));
};
for (let index = 0; index < Number(count); index += 1) {
  const wrapped = permwalk.wrapExtractor(extract, { manifest: false, existing: 'replace' });
  const { outcome } = await wrapped('archive', destination);
  process.stdout.write(`${outcome}\n`);
}
