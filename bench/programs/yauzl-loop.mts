/** Peer: the modes of a zip, one `chmodSync` for each of its entries as yauzl reads them. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import yauzl from 'yauzl';

const [archive = '', root = ''] = process.argv.slice(2);

yauzl.open(archive, { lazyEntries: true }, (error, zip) => {
  if (error) throw error;
  zip.on('entry', (entry) => {
    const mode = (entry.externalFileAttributes >>> 16) & 0o777;
    if (mode !== 0) chmodSync(join(root, entry.fileName), mode);
    zip.readEntry();
  });
  zip.on('error', (reason) => {
    throw reason;
  });
  zip.readEntry();
});
