import type { Help } from 'commander';

/** A narrower description than this goes below its term. */
const LEAST_BESIDE = 30;
const INDENT = 6;
const DEFAULT_WIDTH = 80;
const LEAST_WIDTH = 20;

/** Columns of the terminal that help goes to, or what `COLUMNS` says. */
export function helpWidth(): number {
  const { columns } = process.stdout;
  const said = columns ?? (Number.parseInt(process.env.COLUMNS ?? '', 10) || DEFAULT_WIDTH);
  return Math.max(LEAST_WIDTH, said);
}

/** How commander lays out help: in narrow terminals descriptions stand below what they describe. */
export const helpLayout: Partial<Help> & ThisType<Help> = {
  minWidthToWrap: LEAST_WIDTH,
  subcommandTerm: (command) => command.name(),
  styleUsage(usage) {
    const title = 'Usage: ';
    return wrap(usage, helpWidth() - title.length).join(`\n${' '.repeat(title.length)}`);
  },
  formatItem(term, termWidth, description, helper) {
    const width = this.helpWidth ?? DEFAULT_WIDTH;
    const beside = width - termWidth - 4;
    if (beside >= LEAST_BESIDE) {
      const lines = helper.boxWrap(description, beside).split('\n');
      return `  ${term.padEnd(termWidth)}  ${lines.join(`\n${' '.repeat(termWidth + 4)}`)}`.trimEnd();
    }
    const lines = wrap(description, width - INDENT).map((line) => ' '.repeat(INDENT) + line);
    return [`  ${term}`, ...lines].join('\n');
  },
};

/** The exit codes, for the end of a help text. */
export function exitCodes(one: string, unreadable = 'the root or the manifest cannot be read'): () => string {
  const codes = [
    ['0', 'everything is as it should be'],
    ['1', one],
    ['2', `wrong usage, or ${unreadable}; nothing was changed`],
    ['130', 'interrupted by Ctrl-C (143 by SIGTERM)'],
  ] as const;
  return () => {
    const indent = ' '.repeat(7);
    const lines = codes.map(([code, meaning]) => {
      const wrapped = wrap(meaning, helpWidth() - indent.length);
      return `  ${code.padEnd(5)}${wrapped.join(`\n${indent}`)}`;
    });
    return ['', 'Exit codes:', ...lines].join('\n');
  };
}

/** Examples for the end of a help text: a command, and what it is for. */
export function examples(lines: readonly (readonly [command: string, meaning: string])[]): () => string {
  return () => {
    const width = helpWidth();
    const blocks = lines.map(([command, meaning]) => {
      const title = wrap(`${meaning}:`, width - 2).map((line) => `  ${line}`);
      // So that it can still be copied to a shell.
      const parts = wrap(command, width - 6);
      const shown = parts.map((part, index) => `    ${part}${index < parts.length - 1 ? ' \\' : ''}`);
      return [...title, ...shown].join('\n');
    });
    return ['', 'Examples:', ...blocks].join('\n');
  };
}

/** Lines of no more than so many columns, broken at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
