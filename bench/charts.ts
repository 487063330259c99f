import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { EChartsOption } from 'echarts';
import { barsOf, ratios } from './chart-bars.ts';
import { FAINT, FONT, firstOfEach, heading, INK, OURS, PLAIN, WIDTH } from './chart-style.ts';
import type { Measured } from './measure/rounds.ts';
import type { Results } from './results.ts';

/** In one file: as modules they are hundreds, each of which takes a moment to load. */
const { init, setPlatformAPI } = createRequire(import.meta.url)('echarts') as typeof import('echarts');

/** Room for the numbers of an axis. */
const GAP = 52;

/** One colour for everybody, the same in all charts; told apart by those who do not see red and green, too. */
const colours: Record<string, string> = {
  permwalk: OURS,
  'permwalk with koffi': '#7c4dff',
  'permwalk on Node 26': '#00a3b4',
  'permwalk on Bun': '#c2187a',
  'chmod -R a+rX': INK,
  'find -exec chmod a+rX {} +': '#009e73',
  chmodrSync: '#e69f00',
  chmodr: '#d55e00',
  chmodrp: '#cc79a7',
  'readdirp walk': '#56b4e9',
  'yauzl and chmodSync': '#8c6d1f',
  'C: list and fstatat': '#5c6570',
  'C: list': PLAIN,
  'Node: list and lstat': '#005f73',
};

/** Added to the name of a line of permwalk that reads a manifest; such a line has triangles. */
const WITH_MANIFEST = ', a zip as manifest';

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

/** Draw what can be drawn of these results, as SVG on white: it can be read on a dark page, too. */
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
      if (contender.name.startsWith('permwalk --verify size')) continue;
      const name = contender.kind === 'permwalk' ? ourName(contender) : contender.name;
      const line = lines.get(contender.name) ?? { name, kind: contender.kind, points: [] };
      const found = value(contender);
      if (found !== undefined) line.points.push([facts.entries, found]);
      if (line.points.length > 0) lines.set(contender.name, line);
    }
  }
  return [...lines.values()];
}

/** permwalk, and what runs it where that is not plain Node. */
function ourName({ runtime }: Measured): string {
  return runtime === undefined ? 'permwalk' : `permwalk ${runtime}`;
}

function withManifest(line: Line): Line {
  return line.kind === 'permwalk' ? { ...line, name: `${line.name}${WITH_MANIFEST}` } : line;
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
        const color = colours[name.replace(WITH_MANIFEST, '')] ?? PLAIN;
        return {
          type: 'line' as const,
          name,
          xAxisIndex: index,
          yAxisIndex: index,
          data: points,
          symbol: name.endsWith(WITH_MANIFEST) ? 'triangle' : 'circle',
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
