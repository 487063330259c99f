import { execFileSync } from 'node:child_process';

/** Make a zip of a tree as it is, links kept as links, with the tool that is everywhere: Info-ZIP's. */
export function makeZip(root: string, path: string): void {
  execFileSync('zip', ['-q', '-r', '-y', '-1', path, '.'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
