import { type Contender, chmod, command, inside, peer, watched } from './contenders.ts';
import type { Tools } from './measure/tools.ts';
import { archived, closed, globbed, globs, readable, restored, uniform, withoutExec } from './modes.ts';
import type { ModeOf } from './trees/work-tree.ts';

/** One job that brings a tree's modes in order. */
export interface Job {
  id: 'J1' | 'J2' | 'J3' | 'J4' | 'J5';
  title: string;
  /** Whether the tree is also needed as a zip. */
  needsZip: boolean;
  /** Whether it is run on generated trees of every size, too. */
  scales: boolean;
  contenders: Contender[];
  /** The same in process, for the delay of the event loop. */
  watched: Contender[];
}

/** What is measured on the trees: J1 to J5. */
export function listJobs(tools: Tools, more: readonly string[]): Job[] {
  const lost = { before: withoutExec, after: restored };
  const named = { before: withoutExec, after: globbed };
  const open = { before: readable(archived), after: readable(archived) };
  const opened = { before: closed, after: readable(closed) };
  const verifications = ['none', 'presence', 'size'] as const;
  const inMemory = verifications.map((verify) => [`permwalk, verify: '${verify}'`, { verify }] as const);
  const limits = (['list', 'stat'] as const).flatMap((what): Contender[] => {
    const { limit } = tools;
    const name = what === 'list' ? 'C: list' : 'C: list and fstatat';
    return limit === undefined
      ? []
      : [{ name, kind: 'limit', command: ({ root }) => [limit, what, root], ...open }];
  });
  if (process.platform === 'linux') {
    const look: Contender['command'] = ({ root }) => tools.program('look', root);
    limits.push({ name: 'Node: list and lstat', kind: 'limit', command: look, ...open });
  }
  return [
    {
      id: 'J1',
      title: 'exec bits from a zip as manifest',
      needsZip: true,
      scales: true,
      contenders: [
        ...(['presence', 'size'] as const).flatMap((verify) =>
          command(
            tools,
            `permwalk --verify ${verify}`,
            ({ zip }) => ['--manifest', zip, '--verify', verify],
            lost,
          ),
        ),
        chmod(withoutExec),
        peer('yauzl and chmodSync', ({ zip, root }) => tools.program('yauzl-loop', zip, root), lost),
      ],
      watched: [],
    },
    {
      id: 'J2',
      title: 'exec bits, the manifest in memory, in process',
      needsZip: true,
      scales: false,
      contenders: [
        ...inMemory.flatMap(([name, options]) => inside(tools, name, lost, options)),
        chmod(withoutExec),
      ],
      watched: inMemory.map(([name, options]) => watched(tools, name, lost, options)),
    },
    {
      id: 'J3',
      title: 'exec bits by globs',
      needsZip: false,
      scales: false,
      contenders: [
        ...command(tools, 'permwalk', () => globs.flatMap((glob) => ['--executable', glob]), named),
        chmod(withoutExec),
        peer('find -exec chmod a+x {} +', ({ root }) => findByName(root), named),
        peer('readdirp walk', ({ root }) => tools.program('walk-globs', root, ...globs), named),
      ],
      watched: [watched(tools, 'permwalk', named, { executable: globs })],
    },
    {
      id: 'J4',
      title: 'a+rX, nothing to change',
      needsZip: false,
      scales: true,
      contenders: [...modeContenders(tools, readable(archived), uniform, more), ...limits],
      watched: [watched(tools, 'permwalk', open, { mode: 'a+rX' })],
    },
    {
      id: 'J5',
      title: 'a+rX, everything to change',
      needsZip: false,
      scales: true,
      contenders: modeContenders(tools, closed, closed, more),
      watched: [watched(tools, 'permwalk', opened, { mode: 'a+rX' })],
    },
  ];
}

const uniformNote = 'has no symbolic modes: sets 0644, on directories 0755';

/** Everybody who can set modes on a whole tree. */
function modeContenders(
  tools: Tools,
  before: ModeOf,
  beforeUniform: ModeOf,
  more: readonly string[],
): Contender[] {
  const modes = { before, after: readable(before) };
  const numeric = { before: beforeUniform, after: uniform };
  return [
    ...command(tools, 'permwalk', () => ['--mode', 'a+rX'], modes),
    chmod(before),
    peer(
      'find -exec chmod a+rX {} +',
      ({ root }) => ['find', root, '-exec', 'chmod', 'a+rX', '{}', '+'],
      modes,
    ),
    peer('chmodrSync', ({ root }) => tools.program('chmodr-sync', root), numeric, uniformNote),
    peer('chmodr', ({ root }) => tools.program('chmodr', root), numeric, uniformNote),
    peer('chmodrp', ({ root }) => tools.program('chmodrp', root), numeric, uniformNote),
    peer('readdirp walk', ({ root }) => tools.program('walk-mode', root), modes),
    ...more.map((text) => {
      const [name = '', line = ''] = text.split(/=(.*)/s);
      return peer(name, ({ root }) => line.split(' ').map((part) => part.replace('{root}', root)), modes);
    }),
  ];
}

function findByName(root: string): string[] {
  const names = ['(', '-name', '*.so', '-o', '-name', '*.dylib', '-o', '-regex', '.*/bin/[^/]*', ')'];
  return ['find', root, '-type', 'f', ...names, '-exec', 'chmod', 'a+x', '{}', '+'];
}
