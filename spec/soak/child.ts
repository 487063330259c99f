import { attacks } from './attacks/index.ts';

// Attacks in a process of their own, one after the other: `child.ts <name>[,<name>…] <seconds>`. Prints a result a line.

const [names = '', seconds = ''] = process.argv.slice(2);
for (const name of names.split(',')) {
  const attack = attacks.get(name);
  if (attack === undefined) throw new Error(`no attack ${JSON.stringify(name)}`);
  process.stdout.write(`${JSON.stringify(await attack(Number(seconds)))}\n`);
}
