import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrapExtractor } from '../../lib/index.ts';

// One extraction of one file, for a process that sees another `/proc` than the specs do.

const extract = wrapExtractor(
  (content: string, directory: string) => writeFileSync(join(directory, 'run'), content),
  { manifest: [{ path: 'run', mode: 0o755 }], umask: 0o022 },
);
const { outcome } = await extract('content', process.argv[2] ?? '');
process.stdout.write(outcome);
