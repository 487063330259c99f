import { renameSync } from 'node:fs';

// Exchanges the names of each pair with plain renames until standard input ends. Prints how often.

const ROUNDS_BETWEEN_LOOKS = 64;
const names = process.argv.slice(2);
let exchanges = 0;
let isOver = false;

function exchangeAll(): void {
  for (let index = 0; index + 1 < names.length; index += 2) {
    const [one = '', other = ''] = names.slice(index, index + 2);
    renameSync(one, `${other}.on-the-way`);
    renameSync(other, one);
    renameSync(`${other}.on-the-way`, other);
    exchanges += 1;
  }
}

function exchangeOn(): void {
  if (isOver) {
    process.stdout.write(`${exchanges}\n`);
    return;
  }
  // An even number of rounds: at the end everything is back in its place.
  for (let round = 0; round < ROUNDS_BETWEEN_LOOKS; round += 1) exchangeAll();
  setImmediate(exchangeOn);
}

process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();
exchangeAll();
exchangeAll();
process.stdout.write('ready\n');
exchangeOn();
