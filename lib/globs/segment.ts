import type { Steps } from './steps.ts';

/** What is done with a character, or without one. */
type Instruction =
  | { kind: 'character'; character: string }
  | { kind: 'any' }
  | { kind: 'star' }
  | { kind: 'split'; targets: number[] }
  | { kind: 'jump'; target: number }
  | { kind: 'more'; isDotEnough: boolean }
  | { kind: 'end' };

/** Names, `*`, `?`, and braces that hold no others: what {@link linearMatcher} knows. */
const knownSegment =
  /^(?:[\w.@~=% +-]|\*(?!\*)|\?|\{(?:[\w@~=% ,?-]|\.(?!\.)|\*(?!\*))*,(?:[\w@~=% ,?-]|\.(?!\.)|\*(?!\*))*\})+$/;

/** Whether {@link linearMatcher} knows a glob for one name. */
export function isLinear(segment: string): boolean {
  return knownSegment.test(segment) && !/[+}]\+/.test(segment);
}

/**
 * Match one name against a glob in steps that are bounded by the product of their lengths: all ways are followed at once, where
 * a regular expression tries one after the other. Means what micromatch means with `dot: true`.
 *
 * @param segment a glob for one name that {@link isLinear}
 * @param ignoresCase whether upper and lower case are the same
 */
export function linearMatcher(
  segment: string,
  ignoresCase: boolean,
  steps: Steps,
): (name: string) => boolean {
  const fold = ignoresCase ? foldCharacter : (character: string) => character;
  const program = programOf(segment, fold);
  /** When each instruction was last entered: once for a character. */
  const marks = new Float64Array(program.length);
  let moment = 0;
  const stack: number[] = [];
  let [current, next]: [number[], number[]] = [[], []];
  return (name) => {
    /** Follow what needs no character, from one instruction. */
    const enter = (start: number, position: number, into: number[]) => {
      stack.push(start);
      for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
        if (marks[at] === moment) continue;
        marks[at] = moment;
        steps.taken += 1;
        const instruction = program[at] as Instruction;
        if (instruction.kind === 'jump') stack.push(instruction.target);
        else if (instruction.kind === 'split') stack.push(...instruction.targets);
        else if (instruction.kind === 'more') {
          const rest = name.length - position;
          const isDot = rest === 1 && name[position] === '.';
          if (rest > 0 && (instruction.isDotEnough || !isDot)) stack.push(at + 1);
        } else {
          into.push(at);
          if (instruction.kind === 'star') stack.push(at + 1);
        }
      }
    };
    current.length = 0;
    moment += 1;
    enter(0, 0, current);
    for (let position = 0; position < name.length && current.length > 0; position += 1) {
      const character = fold(name[position] as string);
      next.length = 0;
      moment += 1;
      for (const at of current) {
        const instruction = program[at] as Instruction;
        if (instruction.kind === 'star') enter(at, position + 1, next);
        else if (
          instruction.kind === 'any' ||
          (instruction.kind === 'character' && instruction.character === character)
        ) {
          enter(at + 1, position + 1, next);
        }
      }
      [current, next] = [next, current];
    }
    return current.includes(program.length - 1);
  };
}

/** As a regular expression ignores case: by single UTF-16 units. */
function foldCharacter(character: string): string {
  const upper = character.toUpperCase();
  return upper.length === 1 ? upper : character;
}

function programOf(segment: string, fold: (character: string) => string): Instruction[] {
  const program: Instruction[] = [];
  /** Where the split of an open brace is, and the jumps to its end. */
  let brace: { targets: number[]; jumps: { kind: 'jump'; target: number }[] } | undefined;
  for (const [index, character] of Array.from(segment, (one, at) => [at, one] as const)) {
    const before = segment[index - 1];
    if (character === '{') {
      brace = { targets: [program.length + 1], jumps: [] };
      program.push({ kind: 'split', targets: brace.targets });
    } else if (brace !== undefined && (character === ',' || character === '}')) {
      const jump = { kind: 'jump' as const, target: -1 };
      program.push(jump);
      brace.jumps.push(jump);
      if (character === ',') brace.targets.push(program.length);
      else {
        for (const one of brace.jumps) one.target = program.length;
        brace = undefined;
      }
    } else if (character === '*') {
      // micromatch: after a dot that begins a name or stands in braces something has to come, and not another dot alone;
      // and so after that of `*.*`.
      const isFirstDot = before === '.' && (brace !== undefined || index === 1);
      if (isFirstDot) program.push({ kind: 'more', isDotEnough: false });
      else if (segment === '*.*' && index > 0) program.push({ kind: 'more', isDotEnough: true });
      program.push({ kind: 'star' });
    } else if (character === '?') program.push({ kind: 'any' });
    else program.push({ kind: 'character', character: fold(character) });
  }
  program.push({ kind: 'end' });
  return program;
}
