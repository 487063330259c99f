/** What the exit codes mean, for the end of a help text. */
export function exitCodes(one: string): string {
  return `
Exit codes:
  0    all well
  1    ${one}
  2    wrong usage, or root or manifest cannot be read; nothing was touched
  130  interrupted (143 by SIGTERM); what was done so far is printed`;
}

/** Examples for the end of a help text: what is typed, and what it is for. */
export function examples(lines: readonly (readonly [command: string, meaning: string])[]): string {
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${meaning}:\n    ${command}`).join('\n')}`;
}
