/** The exit codes, for the end of a help text. */
export function exitCodes(one: string): string {
  return `
Exit codes:
  0    everything is as it should be
  1    ${one}
  2    wrong usage, or root or manifest cannot be read; nothing was changed
  130  interrupted (143 by SIGTERM); the counts so far are printed`;
}

/** Examples for the end of a help text: a command, and what it is for. */
export function examples(lines: readonly (readonly [command: string, meaning: string])[]): string {
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${meaning}:\n    ${command}`).join('\n')}`;
}
