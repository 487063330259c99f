import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Answer each question on standard input, a line of JSON, with a line of JSON. Where a question has `setUp`, these shell commands
 * come first; `$1` is its `root`.
 *
 * @param {(question: any) => Promise<unknown>} answerTo
 */
export async function answerAll(answerTo) {
  for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { setUp = '', root = '', ...question } = JSON.parse(line);
      if (setUp !== '') runShell(setUp, root);
      answer = await answerTo({ root, ...question });
    } catch (error) {
      answer = { error: error.stack };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

function runShell(commands, root) {
  const { status, stderr } = spawnSync('sh', ['-e', '-c', commands, 'sh', root], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`set-up ended with ${status}: ${stderr}`);
}
