import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from './measure/tools.ts';
import { runtimeIds } from './runtimes.ts';

/** Every job, in the order in which they are told. */
export const jobIds = ['J1', 'J2', 'J3', 'J4', 'J5', 'J6', 'J7', 'J8', 'J9', 'J10', 'J11', 'parts'] as const;

/** What the command line asks for. */
export interface BenchOptions {
  isQuick: boolean;
  only: readonly string[];
  /** Measured rounds after the one that warms up. */
  rounds: number;
  /** Entries of the generated trees. */
  sizes: readonly number[];
  /** Taken in place of the Debian packages. */
  tree?: string;
  isGeneratedOnly: boolean;
  /** Folder in which the copies to work on are made. */
  on: string;
  dist: string;
  out: string;
  peers: readonly string[];
  /** Of those who are compared with permwalk in J1 to J5, only these; undefined: all. */
  beside?: readonly string[];
  /** What runs permwalk, beside plain Node. */
  runtimes: readonly string[];
  /** Only draw charts and table from the results that are there. */
  isRendering: boolean;
  /** Only measure the shape of the real tree anew. */
  isMeasuringShape: boolean;
}
/** Where results go by default: those that `docs/benchmarks.md` shows. */
export const resultsFolder = join(checkout, 'bench/results');
/** The page that shows them. */
export const resultsPage = join(checkout, 'docs/benchmarks.md');

export const usage = `usage: npm run bench [-- OPTIONS]

  --quick             three rounds, fewer and smaller trees; less than three minutes
  --only J1,J4        these jobs: ${jobIds.join(', ')}
  --rounds N          measured rounds after the warm-up (default: 7)
  --sizes N,N         entries of the generated trees (default: 1000,10000,100000,1000000)
  --tree DIR          a tree in place of Debian's Python packages; it is copied, never changed
  --generated-only    no real tree
  --on DIR            where the copies to work on are made (default: the folder for temporary files)
  --peer NAME=COMMAND one more contender for a+rX, with {root} in its command; repeatable
  --beside A,B        of those who are compared with permwalk in J1 to J5, only these
  --runtimes A,B      what runs permwalk: ${runtimeIds.join(', ')} (default: all; --quick: node, koffi)
  --dist DIR          the built package (default: dist)
  --out DIR           where results go (default: bench/results)
  --render            only draw charts and table from the results that are there
  --measure-shape     only measure the shape of the real tree, for the generated ones
`;

/** Read the command line; what is wrong with it is thrown. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: flag,
      only: text,
      rounds: text,
      sizes: text,
      tree: text,
      'generated-only': flag,
      on: text,
      peer: { type: 'string', multiple: true, default: [] },
      beside: text,
      runtimes: text,
      dist: text,
      out: text,
      render: flag,
      'measure-shape': flag,
      help: flag,
    },
  });
  if (values.help) return 'help';
  const isQuick = values.quick;
  const only = listed('--only', values.only, jobIds) ?? jobIds;
  return {
    isQuick,
    only,
    rounds: whole('--rounds', values.rounds ?? (isQuick ? '3' : '7')),
    sizes: (values.sizes ?? (isQuick ? '1000,3000' : '1000,10000,100000,1000000'))
      .split(',')
      .map((size) => whole('--sizes', size)),
    ...(values.tree !== undefined && { tree: resolve(values.tree) }),
    isGeneratedOnly: values['generated-only'],
    on: resolve(values.on ?? tmpdir()),
    dist: resolve(values.dist ?? join(checkout, 'dist')),
    out: resolve(values.out ?? resultsFolder),
    peers: values.peer,
    ...(values.beside !== undefined && { beside: values.beside.split(',') }),
    runtimes: listed('--runtimes', values.runtimes, runtimeIds) ?? (isQuick ? ['node', 'koffi'] : runtimeIds),
    isRendering: values.render,
    isMeasuringShape: values['measure-shape'],
  };
}

/** Names between commas, each of which is known. */
function listed(flag: string, text: string | undefined, known: readonly string[]): string[] | undefined {
  const names = text?.split(',');
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${flag}: ${unknown} is none of ${known.join(', ')}`);
  return names;
}

function whole(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${name}: ${text} is not a whole number from 1`);
  return Number(text);
}
