import type { Machine } from './machine.ts';
import type { Measured } from './measure/rounds.ts';
import type { MeasuredTree, Results } from './results.ts';

/** What all charts share. */
export const INK = '#1f2328';
export const FAINT = '#d5dae0';
export const OURS = '#0b57d0';
export const PLAIN = '#8a929c';
export const WIDTH = 960;
export const FONT = { fontFamily: 'Helvetica, Arial, sans-serif', color: INK };

/** Title of a chart, and below it where it was measured. */
export function heading(text: string, results: readonly Results[]) {
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

/** Everybody once: those who are in both groups as they were on the tree with its links. */
export function firstOfEach(groups: MeasuredTree['groups']): Measured[] {
  const all = groups.flatMap(({ contenders }) => contenders);
  return all.filter(({ name }, index) => all.findIndex((other) => other.name === name) === index);
}
