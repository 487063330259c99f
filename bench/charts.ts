import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { EChartsOption } from 'echarts';
import type { Machine } from './machine.ts';
import type { Measured } from './measure/rounds.ts';
import type { MeasuredTree, Results } from './results.ts';

/** In one file: as modules they are hundreds, each of which takes a moment to load. */
const { init, setPlatformAPI } = createRequire(import.meta.url)('echarts') as typeof import('echarts');

const INK = '#1f2328';
const FAINT = '#d5dae0';
const OURS = '#0b57d0';
const PLAIN = '#8a929c';
const WIDTH = 960;
/** Room for the numbers of an axis. */
const GAP = 52;
/** Room for names beside the bars. */
const LABELS = 220;
const FONT = { fontFamily: 'Helvetica, Arial, sans-serif', color: INK };

/** One colour for everybody, the same in all charts; told apart by those who do not see red and green, too. */
const colours: Record<string, string> = {
  permwalk: OURS,
  'chmod -R a+rX': INK,
  'find -exec chmod a+rX {} +': '#009e73',
  chmodrSync: '#e69f00',
  chmodr: '#d55e00',
  chmodrp: '#cc79a7',
  'readdirp walk': '#56b4e9',
  'yauzl and chmodSync': '#8c6d1f',
  'C: list and fstatat': PLAIN,
  'C: list': '#b9c0c8',
  'Node: list and lstat': '#005f73',
  'permwalk with a manifest': '#7c4dff',
};

/** Nothing measures text here: rather leave too much room than too little, whatever font the reader has. */
const LETTER_WIDTH = 0.62;
setPlatformAPI({
  measureText: (text, font = '') => ({
    width: text.length * LETTER_WIDTH * Number.parseFloat(/([\d.]+)px/.exec(font)?.[1] ?? '12'),
  }),
});

/** A line of a chart: values by the number of entries. */
interface Line {
  name: string;
  kind: Measured['kind'];
  points: [entries: number, value: number][];
}

/** Draw what can be drawn of these results, as SVG on white. */
export function drawCharts(folder: string, results: readonly Results[]): void {
  const job = (id: string) => results.find((one) => one.job === id);
  const [first, fourth, fifth] = [job('J1'), job('J4'), job('J5')];
  const panels = [first, fourth, fifth].flatMap((one) => {
    const lines = linesOf(one, ({ seconds }) => seconds.median);
    return one === undefined || lines.length === 0 ? [] : [{ title: one.title, lines }];
  });
  if (panels.length > 0)
    draw(folder, 'time.svg', 560, growth('Time of the whole process', panels, 'seconds', results));
  const memory = [
    ...linesOf(fourth, ({ peakMiB }) => peakMiB?.median),
    ...linesOf(first, ({ peakMiB }) => peakMiB?.median)
      .filter(({ kind }) => kind === 'permwalk' || kind === 'peer')
      .map(withManifest),
  ];
  if (memory.length > 0) {
    const titled = [{ title: 'a+rX, nothing to change; a zip as manifest', lines: memory }];
    draw(folder, 'memory.svg', 500, growth('Peak memory of the whole process', titled, 'MiB', results));
  }
  const bars = results.flatMap((one) => barsOf(one));
  if (bars.length > 0) draw(folder, 'jobs.svg', 130 + bars.length * 21, ratios(bars, results));
}

function draw(folder: string, file: string, height: number, option: EChartsOption): void {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({ animation: false, backgroundColor: '#fff', textStyle: FONT, ...option });
  writeFileSync(join(folder, file), `${chart.renderToSVGString()}\n`);
  chart.dispose();
}

/** Values of everybody on the generated trees, by the number of entries. */
function linesOf(results: Results | undefined, value: (measured: Measured) => number | undefined): Line[] {
  const lines = new Map<string, Line>();
  for (const { name, facts, groups } of results?.trees ?? []) {
    if (!name.startsWith('generated')) continue;
    for (const contender of firstOfEach(groups)) {
      // What is checked besides is told in the table.
      if (contender.name === 'permwalk --verify size') continue;
      const name = contender.kind === 'permwalk' ? 'permwalk' : contender.name;
      const line = lines.get(contender.name) ?? { name, kind: contender.kind, points: [] };
      const found = value(contender);
      if (found !== undefined) line.points.push([facts.entries, found]);
      if (line.points.length > 0) lines.set(contender.name, line);
    }
  }
  return [...lines.values()];
}

/** Everybody once: those who are in both groups as they were on the tree with its links. */
function firstOfEach(groups: MeasuredTree['groups']): Measured[] {
  const all = groups.flatMap(({ contenders }) => contenders);
  return all.filter(({ name }, index) => all.findIndex((other) => other.name === name) === index);
}

function withManifest(line: Line): Line {
  return line.kind === 'permwalk' ? { ...line, name: 'permwalk with a manifest' } : line;
}

/** Panels side by side, both axes logarithmic. */
function growth(
  title: string,
  panels: readonly { title: string; lines: Line[] }[],
  unit: string,
  results: readonly Results[],
): EChartsOption {
  const share = WIDTH / panels.length;
  const points = panels.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  const axis = { type: 'log', axisLine: { show: true, lineStyle: { color: INK } } } as const;
  const label = { color: INK, fontSize: 12 };
  const split = { lineStyle: { color: FAINT } };
  return {
    title: [
      heading(title, results),
      ...panels.map((panel, index) => ({
        text: panel.title,
        left: index * share + share / 2 + GAP / 4,
        top: 62,
        textAlign: 'center' as const,
        textStyle: { ...FONT, fontSize: 13, fontWeight: 'bold' as const },
      })),
    ],
    legend: {
      bottom: 8,
      icon: 'roundRect',
      itemHeight: 4,
      itemWidth: 22,
      textStyle: { ...FONT, fontSize: 12 },
    },
    grid: panels.map((_, index) => ({
      left: index * share + GAP,
      width: share - 1.5 * GAP,
      top: 108,
      bottom: 116,
    })),
    xAxis: panels.map((_, gridIndex) => ({
      ...axis,
      gridIndex,
      ...decades(points.map(([entries]) => entries)),
      name: 'entries',
      nameLocation: 'middle' as const,
      nameGap: 28,
      nameTextStyle: label,
      axisLabel: { ...label, formatter: compact },
      splitLine: split,
    })),
    yAxis: panels.map((_, gridIndex) => ({
      ...axis,
      gridIndex,
      ...decades(points.map(([, value]) => value)),
      name: unit,
      nameTextStyle: label,
      axisLabel: { ...label, formatter: compact },
      splitLine: split,
    })),
    series: panels.flatMap(({ lines }, index) =>
      lines.map(({ name, kind, points }) => {
        const color = colours[name] ?? PLAIN;
        return {
          type: 'line' as const,
          name,
          xAxisIndex: index,
          yAxisIndex: index,
          data: points,
          symbol: 'circle',
          symbolSize: kind === 'permwalk' ? 7 : 5,
          color,
          z: kind === 'permwalk' ? 3 : 2,
          lineStyle: {
            color,
            width: kind === 'permwalk' ? 3.5 : 1.8,
            type: kind === 'limit' ? ('dashed' as const) : ('solid' as const),
          },
        };
      }),
    ),
  };
}

/** 1k for 1000, 1M for a million. */
function compact(value: number): string {
  return new Intl.NumberFormat('en', { notation: 'compact' }).format(value);
}

/** The powers of ten between which values lie. */
function decades(values: readonly number[]): { min: number; max: number } {
  const exponents = values.map((value) => Math.log10(value));
  const [low, high] = [Math.floor(Math.min(...exponents)), Math.ceil(Math.max(...exponents))];
  const power = (exponent: number) => Number((10 ** exponent).toPrecision(1));
  return { min: power(low), max: power(Math.max(high, low + 1)) };
}

/** A row of the bar chart: a heading, or a bar with the ratio to chmod. */
interface Bar {
  name: string;
  kind?: Measured['kind'];
  ratio?: { median: number; min: number; max: number };
}

function barsOf({ job, title, trees: [tree] = [] }: Results): Bar[] {
  if (!/^J[1-5]$/.test(job) || tree === undefined) return [];
  const bars = firstOfEach(tree.groups).flatMap(({ name, kind }): Bar[] => {
    const ratio = tree.groups
      .flatMap(({ ratios }) => ratios)
      .find(({ of, to }) => of === name && to.startsWith('chmod -R'));
    return ratio === undefined ? [] : [{ name, kind, ratio }];
  });
  return bars.length === 0 ? [] : [{ name: `${job}  ${title}` }, ...bars];
}

/** Bars to the left of 1 are faster than chmod, bars to the right slower; each doubling is as wide. */
function ratios(bars: readonly Bar[], results: readonly Results[]): EChartsOption {
  const values = bars.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio.median]));
  const color = ({ kind }: Bar) => (kind === 'permwalk' ? OURS : kind === 'limit' ? FAINT : PLAIN);
  return {
    title: heading('Time as a multiple of GNU chmod -R a+rX on the same tree', results),
    grid: { left: LABELS + 20, right: 40, top: 92, bottom: 40 },
    xAxis: {
      type: 'value',
      min: Math.min(-1, Math.floor(Math.log2(Math.min(...values)) - 0.5)),
      max: Math.max(1, Math.ceil(Math.log2(Math.max(...values)) + 0.5)),
      interval: 1,
      axisLabel: {
        color: INK,
        fontSize: 12,
        formatter: (value: number) => (value < 0 ? `1/${2 ** -value}` : `${2 ** value}×`),
      },
      splitLine: { lineStyle: { color: FAINT } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ name, ratio }) => (ratio === undefined ? `{heading|${name}}` : name)),
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: {
        color: INK,
        fontSize: 12,
        interval: 0,
        align: 'left',
        margin: LABELS,
        rich: { heading: { fontWeight: 'bold', fontSize: 12, color: INK } },
      },
    },
    series: [
      {
        type: 'bar',
        barWidth: 13,
        data: bars.map((bar) => ({
          value: bar.ratio === undefined ? Number.NaN : Math.log2(bar.ratio.median),
          itemStyle: { color: color(bar) },
          label: {
            show: bar.ratio !== undefined,
            position: (bar.ratio?.median ?? 1) < 1 ? ('left' as const) : ('right' as const),
            formatter: `${short(bar.ratio?.median ?? 1)}×`,
            color: INK,
            fontSize: 11,
            fontWeight: bar.kind === 'permwalk' ? ('bold' as const) : ('normal' as const),
          },
        })),
        markLine: {
          silent: true,
          symbol: 'none',
          label: {
            show: true,
            position: 'start',
            distance: 22,
            formatter: 'chmod',
            color: INK,
            fontSize: 12,
          },
          lineStyle: { color: INK, width: 1.5, type: 'solid' },
          data: [{ xAxis: 0 }],
        },
      },
    ],
  };
}

/** Two digits that count. */
function short(value: number): string {
  return value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}

function heading(text: string, results: readonly Results[]) {
  return {
    text,
    subtext: subtext(results),
    left: 'center',
    top: 10,
    textStyle: { ...FONT, fontSize: 16, fontWeight: 'bold' as const },
    subtextStyle: { ...FONT, fontSize: 12 },
  };
}

function subtext([first]: readonly Results[]): string {
  if (first === undefined) return '';
  const { cpu, cores, kernel, fileSystem, node, date }: Machine = first.machine;
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem}, Node ${node}, ${date}`;
}
