import { attacks } from './attacks/index.ts';

// One attack in a process of its own: `child.ts <name> <seconds>`. Prints its result.

const [name = '', seconds = ''] = process.argv.slice(2);
const attack = attacks.get(name);
if (attack === undefined) throw new Error(`no attack ${JSON.stringify(name)}`);
process.stdout.write(JSON.stringify(await attack(Number(seconds))));
