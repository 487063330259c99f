import type { Attack } from '../attack.ts';
import { archiveBombs } from './archive-bombs.ts';
import { besideDestination } from './beside-destination.ts';
import { churn } from './churn.ts';
import { deepTree } from './deep-tree.ts';
import { exchangeDirectory } from './exchange-directory.ts';
import { exchangeFile } from './exchange-file.ts';
import { exchangeFlattened } from './exchange-flattened.ts';
import { exchangeParent } from './exchange-parent.ts';
import { exchangeRoot } from './exchange-root.ts';
import { exchangeStaging } from './exchange-staging.ts';
import { explodingGlobs } from './exploding-globs.ts';
import { growingDirectory } from './growing-directory.ts';
import { hardLink } from './hard-link.ts';
import { longNames } from './long-names.ts';
import { millionEntries } from './million-entries.ts';
import { moveOut } from './move-out.ts';
import { prototypeNames } from './prototype-names.ts';
import { specialFile } from './special-file.ts';

/** Every attack by its name, those that take longest beyond their time first. */
export const attacks: ReadonlyMap<string, Attack> = new Map<string, Attack>([
  ['million-entries', millionEntries],
  ['archive-bombs', archiveBombs],
  ['exploding-globs', explodingGlobs],
  ['growing-directory', growingDirectory],
  ['deep-tree', deepTree],
  ['long-names', longNames],
  ['exchange-directory', exchangeDirectory],
  ['exchange-file', exchangeFile],
  ['exchange-flattened', exchangeFlattened],
  ['exchange-root', exchangeRoot],
  ['exchange-parent', exchangeParent],
  ['exchange-staging', exchangeStaging],
  ['beside-destination', besideDestination],
  ['move-out', moveOut],
  ['hard-link', hardLink],
  ['special-file', specialFile],
  ['churn', churn],
  ['prototype-names', prototypeNames],
]);

/** Attacks that do so much, however long that takes: what they take beyond their time grows with what else the machine does. */
export const ofOneLength: ReadonlySet<string> = new Set([
  'million-entries',
  'archive-bombs',
  'exploding-globs',
  'growing-directory',
  'deep-tree',
  'long-names',
]);
