import { UnresolvedEntriesError } from '../../lib/report.ts';
import type { PassInChild, PassResult } from './child.ts';
import { passOf } from './passes.ts';

const { root, options = {}, backend } = JSON.parse(process.argv[2] ?? '') as PassInChild;
const { apply } = passOf(backend);

let result: PassResult;
try {
  result = { report: await apply(root, options) };
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const code = 'code' in error ? String(error.code) : '';
  const report = error instanceof UnresolvedEntriesError ? { report: error.report } : {};
  result = { error: { name: error.name, code, message: error.message, ...report } };
}
process.stdout.write(JSON.stringify(result));
