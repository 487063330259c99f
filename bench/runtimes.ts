import { fileURLToPath } from 'node:url';
import { fetchRuntime, runtimes as known } from '../spec/runtimes/runtimes.ts';

/** What runs permwalk. */
export interface Runtime {
  /** Behind permwalk's name: `on Bun`. Empty for the Node that runs the benchmark. */
  readonly label: string;
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What can be asked for. */
export const runtimeIds = ['node', 'koffi', 'node@26', 'bun'] as const;

const withoutNative = { PERMWALK_NATIVE: '0' };

/** The Node that runs the benchmark, as it is without koffi: who installs permwalk alone has this. */
const plainNode: Runtime = { label: '', program: process.execPath, environment: withoutNative };

/**
 * The runtimes that are asked for, the plain Node first and always. Those that are npm packages are fetched into `.runtimes`.
 *
 * @throws what npm says where one cannot be fetched
 */
export function findRuntimes(ids: readonly string[]): [Runtime, ...Runtime[]] {
  const others = runtimeIds.filter((id) => id !== 'node' && ids.includes(id));
  return [plainNode, ...others.map((id) => (id === 'koffi' ? withKoffi : fetched(id)))];
}

/** The same Node beside koffi, which is installed here for the specs. */
const withKoffi: Runtime = { label: 'with koffi', program: process.execPath, environment: {} };

function fetched(id: string): Runtime {
  const runtime = known.find(({ name }) => name === id);
  if (runtime === undefined) throw new Error(`no runtime ${id}`);
  const program = fetchRuntime(runtime, fileURLToPath(new URL('../.runtimes', import.meta.url)));
  if (id === 'bun') return { label: 'on Bun', program, environment: {} };
  return { label: `on Node ${id.replace('node@', '')}`, program, environment: withoutNative };
}
