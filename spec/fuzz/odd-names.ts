import { Buffer } from 'node:buffer';

/** Names that programs may read in more than one way. */
export const oddNames: readonly Buffer[] = [
  ...['a', 'a/', 'a//b', './a', '../a', 'a/../b', '/a', '', '.', './', 'C:a', 'C:/a', 'C:\\a', 'a\\b', '\\'],
  ...['caf\u00e9', 'cafe\u0301', '\u6f22', 'a\0b', 'a\n', ' ', '._a', '__MACOSX/a', 'a/.', 'n'.repeat(300)],
  'lib/data',
  'lib/data/below',
  'lib/',
].map((name) => Buffer.from(name));
export const latin1Name: Buffer = Buffer.from('caf\xe9', 'latin1');
