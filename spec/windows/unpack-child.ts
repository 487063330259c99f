/**
 * Writes down how it was called, and unpacks an archive.
 *
 *     node unpack-child.ts CALLED ARCHIVE DESTINATION ANYTHING…
 */
import { writeFileSync } from 'node:fs';
import { unpack } from './helpers.ts';

const [called = '', ...args] = process.argv.slice(2);
const [archive = '', destination = ''] = args;
writeFileSync(called, JSON.stringify(args));
unpack(archive, destination);
