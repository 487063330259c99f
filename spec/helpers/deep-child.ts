import { type ApplyOptions, applyPermissions } from '../../lib/index.ts';

// One pass, and what it costs: `deep-child.ts <root> <options as JSON>`

/** What the child prints. */
export interface DeepCost {
  counts: { visited: number; changed: number };
  /** CPU time in microseconds. */
  cpu: number;
  /** Most memory that the process ever had, in KiB. */
  peak: number;
}

const [root = '', options = ''] = process.argv.slice(2);
const before = process.cpuUsage();
const { counts } = await applyPermissions(root, JSON.parse(options) as ApplyOptions);
const { user, system } = process.cpuUsage(before);
const { visited, changed } = counts;
const { maxRSS } = process.resourceUsage();
const cost: DeepCost = { counts: { visited, changed }, cpu: user + system, peak: maxRSS };
process.stdout.write(JSON.stringify(cost));
