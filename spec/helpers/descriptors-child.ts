/**
 * Passes in a process that may open few descriptors: prints the counts of each report, and how many descriptors were open.
 *
 *     descriptors-child.ts <limit> '[{ "backend", "root", "options", "source" }…]'
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { readManifest } from '../../lib/manifest/read.ts';
import type { ApplyOptions } from '../../lib/options.ts';
import type { PermissionCounts } from '../../lib/report.ts';
import { passOf } from './passes.ts';

/** What the child prints. */
export interface DescriptorUse {
  backend: string;
  counts: PermissionCounts;
  /** Open before the pass, at most while it ran, and after it; where the system tells. */
  before: string[];
  most: number;
  after: string[];
}

/** One of the passes. */
export interface DescriptorPass {
  backend: string;
  root: string;
  options: ApplyOptions;
  /** File that is read as the manifest. */
  source?: string;
}

const [limit, passes = ''] = process.argv.slice(2);
// Not before the modules are loaded: their loader opens many files at once.
execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${limit}`]);
const descriptors = (): string[] => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd') : []);

async function useOf({ backend, root, options, source }: DescriptorPass): Promise<DescriptorUse> {
  const { apply } = passOf(backend);
  const manifest = source === undefined ? {} : { manifest: await readManifest(source) };
  let most = 0;
  let changes = 0;
  const look = (): void => {
    most = Math.max(most, descriptors().length);
  };
  /** A slice may end anywhere: what lies deep is looked at in any case, and of the rest every hundredth. */
  const onChange: ApplyOptions['onChange'] = ({ path }) => {
    changes += 1;
    if (changes % 100 === 0 || path.length > 100) look();
  };
  const all: ApplyOptions = { ...options, ...manifest, onProgress: look, onChange };
  // What is loaded only where it is needed keeps descriptors of its own.
  await apply(root, { ...all, dryRun: true });
  const before = descriptors();
  most = 0;
  const { counts, backend: used } = await apply(root, all);
  return { backend: used, counts, before, most, after: descriptors() };
}

const uses: DescriptorUse[] = [];
for (const pass of JSON.parse(passes) as DescriptorPass[]) uses.push(await useOf(pass));
process.stdout.write(JSON.stringify(uses));
