import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Measured, MeasuredGroup, Ratio } from './measure/rounds.ts';
import type { Spread } from './measure/statistics.ts';
import type { MeasuredTree, Results } from './results.ts';

const EXEC_JOBS = ['J1', 'J2', 'J3'];

/** Write one Markdown table of everything that was compared, with where and how it was measured. */
export function writeTable(folder: string, results: readonly Results[]): void {
  const lines = [
    '| job | permwalk | compared with | ratio, median [min–max] |',
    '| --- | --- | --- | --- |',
    ...results.flatMap((one) => rowsOf(one)).map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...notesOf(results).map((note) => `- ${note}`),
  ];
  writeFileSync(join(folder, 'table.md'), `${lines.join('\n')}\n`);
}

/** Put a folder's table between the two comments of a page that are for it. */
export function embedTable(page: string, folder: string): void {
  const table = readFileSync(join(folder, 'table.md'), 'utf8');
  const text = readFileSync(page, 'utf8').replace(
    /(?<=<!-- bench\/table\.ts writes what follows -->\n).*(?=<!-- end of the table -->)/s,
    () => `\n${table}\n`,
  );
  writeFileSync(page, text);
}

function rowsOf(results: Results): string[][] {
  const { job, title, trees: [tree] = [], arrivals, replacing = [] } = results;
  const rows: string[][] = [];
  for (const group of tree?.groups ?? []) {
    for (const ours of group.contenders.filter(({ kind }) => kind === 'permwalk')) {
      // Those of the second group stand beside permwalk again; chmod has had its row.
      const isNew = ({ of, to }: Ratio) => of === ours.name && (group.links || !to.startsWith('chmod -R'));
      const compared = group.ratios.filter((ratio) => isNew(ratio) && ratio.to !== 'C: list');
      for (const ratio of compared) rows.push(row(results, group, ours, ratio));
    }
  }
  if (arrivals !== undefined) {
    const { arrivalSeconds, secondsAfter } = arrivals;
    const ends = `ends ${spread(secondsAfter, seconds)} after the last of them`;
    rows.push([ends, `arriving takes ${seconds(arrivalSeconds.median)}`, '']);
  }
  for (const { runtime, times, looks, nothing, seconds: taken } of replacing) {
    const saw = `${nothing.toLocaleString('en')} of ${looks.toLocaleString('en')} looks saw nothing`;
    rows.push([`${runtime} ${saw}`.trim(), `${times} replacements in ${seconds(taken)}`, '']);
  }
  return rows.map((cells, index) => [index === 0 ? `${job} ${title}` : '', ...cells]);
}

function row(results: Results, group: MeasuredGroup, ours: Measured, ratio: Ratio): string[] {
  const other = group.contenders.find(({ name }) => name === ratio.to);
  if (other === undefined) throw new Error(`${ratio.to} was not measured`);
  const isMeasureOnly = other.kind === 'yardstick' && EXEC_JOBS.includes(results.job);
  const remarks = [
    ...(group.links ? [] : ['no links']),
    ...(isMeasureOnly ? ['another job'] : []),
    ...(other.kind === 'limit' ? ['changes nothing'] : []),
    ...(other.note === undefined ? [] : ['0644']),
  ];
  const how = ours.name
    .replace(/^permwalk,? ?/, '')
    .replace(ours.runtime ?? '', '')
    .trim();
  const name = `${how === '' ? '' : `\`${how}\` `}${ours.runtime === undefined ? '' : `${ours.runtime} `}`;
  const remark = remarks.length === 0 ? '' : ` (${remarks.join(', ')})`;
  return [
    `${name}${cost(ours)}`,
    `${other.name}${remark} ${cost(other)}`,
    spread(ratio, (value) => value.toFixed(2)),
  ];
}

function cost({ seconds: { median }, peakMiB }: Measured): string {
  return peakMiB === undefined ? seconds(median) : `${seconds(median)}, ${Math.round(peakMiB.median)} MiB`;
}

function seconds(value: number): string {
  return value < 0.1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;
}

function spread({ median, min, max }: Spread, show: (value: number) => string): string {
  return `${show(median)} [${show(min)}–${show(max)}]`;
}

function notesOf(results: readonly Results[]): string[] {
  const [first] = results;
  if (first === undefined) return [];
  const { cpu, cores, memoryGiB, kernel, fileSystem, node, permwalk, commit, date } = first.machine;
  const commands = [...new Set(results.map(({ machine }) => `\`${machine.command}\``))];
  const trees = results.flatMap(({ trees: [tree] = [] }) => (tree === undefined ? [] : [describe(tree)]));
  const unfit = results.flatMap((one) => one.unfit ?? []);
  const names = [...new Set(unfit.map(({ name }) => name))];
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, ${fileSystem}; Node ${node}, permwalk ${permwalk} (${commit}), ${date}: ${commands.join(', ')}.`,
    `Whole processes, except J2 and J6, which run in process. Everything is in the page cache. ${[...new Set(trees)].join(' ')}`,
    '"another job": chmod cannot do this job; it is there as a yardstick.',
    ...(names.length === 0
      ? []
      : [
          `"no links": ${names.join(', ')} go wrong on links. They were measured on the same tree without links.`,
        ]),
    ...(results.some(({ trees = [] }) => trees.some(hasNotes))
      ? ['"0644": it has no symbolic modes, and sets 0644.']
      : []),
    ...gaveUpOf(results),
    ...eventLoopOf(results),
    ...growthOf(results),
  ];
}

function gaveUpOf(results: readonly Results[]): string[] {
  const told = results.flatMap(({ job, trees = [] }) =>
    trees.flatMap(({ name, groups }) =>
      groups.flatMap(({ gaveUp = [] }) => gaveUp.map((reason) => `${job} ${name}: ${reason}`)),
    ),
  );
  return told.length === 0 ? [] : [`Gave up: ${told.join('; ')}.`];
}

function hasNotes({ groups }: MeasuredTree): boolean {
  return groups.some(({ contenders }) => contenders.some(({ note }) => note !== undefined));
}

function describe({ name, origin, facts, missing }: MeasuredTree): string {
  const { entries, directories, links, executables } = facts;
  const lacking = missing.length === 0 ? '' : `, without ${missing.join(', ')}`;
  const count = (value: number) => value.toLocaleString('en');
  const facts_ = `${count(entries)} entries, ${count(directories)} directories, ${links} links, ${executables} executables`;
  return `Tree "${name}": ${origin}${lacking}; ${facts_}.`;
}

function eventLoopOf(results: readonly Results[]): string[] {
  const delays = results.flatMap(({ job, trees: [tree] = [] }) =>
    (tree?.eventLoop ?? []).map((delay) => ({ job, ...delay })),
  );
  if (delays.length === 0) return [];
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const told = delays.map(
    ({ job, name, p99, max }) => `${job} ${name.replace(/^permwalk,? ?/, '')} ${ms(p99)}, ${ms(max)}`,
  );
  return [
    `Event loop, between two turns of a timer of 1 ms, 99th percentile and longest: ${told.join('; ')}.`,
  ];
}

/** How much longer an entry takes on the largest generated tree than on that of 10,000, and the memory that it takes. */
function growthOf(results: readonly Results[]): string[] {
  const told = results.flatMap(({ job, trees = [] }) => {
    const generated = trees.filter(({ name }) => name.startsWith('generated'));
    const [small, large] = [generated.find(({ facts }) => facts.entries === 10_000), generated.at(-1)];
    const [ours, before] = [large?.groups[0]?.contenders[0], small?.groups[0]?.contenders[0]];
    if (ours === undefined || before === undefined || large === undefined || small === undefined) return [];
    if (large === small) return [];
    const [one, other] = [large.facts.entries, small.facts.entries];
    const ratio = ours.seconds.median / one / (before.seconds.median / other);
    return [`${job} ${ratio.toFixed(2)}× at ${one.toLocaleString('en')}, ${cost(ours)}`];
  });
  return told.length === 0 ? [] : [`Time an entry, compared with 10,000 entries: ${told.join('; ')}.`];
}
