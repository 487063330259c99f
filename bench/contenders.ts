import type { ApplyOptions } from '../lib/index.ts';
import type { Tools } from './measure/tools.ts';
import { readable } from './modes.ts';
import type { PassRequest } from './programs/pass.mts';
import type { Runtime } from './runtimes.ts';
import type { ModeOf } from './trees/work-tree.ts';

/** What a command works on. */
export interface Target {
  root: string;
  /** The tree as a zip, where the job has one. */
  zip: string;
}

/** Somebody who does a job, or stands beside for comparison. */
export interface Contender {
  name: string;
  /** `'yardstick'`: GNU chmod, to which everything is compared. `'limit'`: does nothing but look. */
  kind: 'permwalk' | 'yardstick' | 'peer' | 'limit';
  /** What runs permwalk, where that is another than plain Node. */
  runtime?: string;
  command(target: Target): readonly string[];
  /** What is added to the environment. */
  environment?: Readonly<Record<string, string>>;
  /** Modes before the run, and what they must be after it. */
  before: ModeOf;
  after: ModeOf;
  /** What its standard output holds: permwalk's report, or the time that it took inside and its changes. */
  prints?: 'report' | 'inside';
  /** What it does other than the job says. */
  note?: string;
}

/** Modes before and after. */
type Modes = Pick<Contender, 'before' | 'after'>;

/** permwalk on one of the runtimes. */
export function on({ label, environment }: Runtime, name: string) {
  return {
    name: label === '' ? name : `${name} ${label}`,
    kind: 'permwalk' as const,
    environment,
    ...(label !== '' && { runtime: label }),
  };
}

/** The permwalk command, on every runtime. */
export function command(
  tools: Tools,
  name: string,
  flags: (target: Target) => string[],
  modes: Modes,
): Contender[] {
  return tools.runtimes.map((runtime) => ({
    ...on(runtime, name),
    prints: 'report',
    command: (target) => [runtime.program, tools.cli, 'apply', ...flags(target), '--json', target.root],
    ...modes,
  }));
}

/** `applyPermissions` by itself, on every runtime. */
export function inside(tools: Tools, name: string, modes: Modes, options: ApplyOptions): Contender[] {
  return tools.runtimes.map((runtime) => pass(tools, runtime, name, modes, options, false));
}

/** The same on plain Node, for the delay of the event loop. */
export function watched(tools: Tools, name: string, modes: Modes, options: ApplyOptions): Contender {
  const [plain] = tools.runtimes;
  return pass(tools, plain, name, modes, options, true);
}

function pass(
  tools: Tools,
  runtime: Runtime,
  name: string,
  modes: Modes,
  options: ApplyOptions,
  watch: boolean,
): Contender {
  const request = ({ root, zip }: Target): PassRequest => ({
    dist: tools.index,
    root,
    ...(options.verify !== undefined && { manifest: zip }),
    options,
    watch,
  });
  return {
    ...on(runtime, name),
    prints: 'inside',
    command: (target) => [
      runtime.program,
      ...tools.program('pass', JSON.stringify(request(target))).slice(1),
    ],
    ...modes,
  };
}

/** What everything is compared with. Where a job is not `a+rX` it does its own all the same. */
export function chmod(before: ModeOf): Contender {
  return {
    name: 'chmod -R a+rX',
    kind: 'yardstick',
    command: ({ root }) => ['chmod', '-R', 'a+rX', root],
    before,
    after: readable(before),
  };
}

/** Somebody else. */
export function peer(name: string, line: Contender['command'], modes: Modes, note?: string): Contender {
  return { name, kind: 'peer', command: line, ...modes, ...(note !== undefined && { note }) };
}
