import type { EChartsOption } from 'echarts';
import { FAINT, firstOfEach, heading, INK, OURS, PLAIN } from './chart-style.ts';
import type { Measured } from './measure/rounds.ts';
import type { Results } from './results.ts';

/** Room for names beside the bars. */
const LABELS = 220;

/** A row of the bar chart: a heading, or a bar with the ratio to chmod. */
export interface Bar {
  name: string;
  kind?: Measured['kind'];
  ratio?: { median: number; min: number; max: number };
}

/** The bars of a job, those of its first tree; none where nothing was compared with chmod. */
export function barsOf({ job, title, trees: [tree] = [] }: Results): Bar[] {
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
export function ratios(bars: readonly Bar[], results: readonly Results[]): EChartsOption {
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
          // The pale ones have an edge, for they would hardly be seen on white.
          itemStyle: {
            color: color(bar),
            borderColor: bar.kind === 'limit' ? PLAIN : 'transparent',
            borderWidth: 1,
          },
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
            distance: 8,
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
