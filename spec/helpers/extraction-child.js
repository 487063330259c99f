// One extraction of one file with permwalk as it is built, for a process that sees another `/proc` than the specs do.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrapExtractor } from '../../dist/index.js';

const extract = wrapExtractor((content, directory) => writeFileSync(join(directory, 'run'), content), {
  manifest: [{ path: 'run', mode: 0o755 }],
  umask: 0o022,
});
const { outcome } = await extract('content', process.argv[2]);
process.stdout.write(outcome);
