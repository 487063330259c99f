import type { RecordOptions } from '../record/options.ts';
import { choice, collect, crossDeviceFlag, type Flag, flag } from './flags.ts';

/** The flags of `permwalk record`. A flag that was not given is absent. */
export interface RecordFlags extends Pick<RecordOptions, 'digest' | 'ignore' | 'crossDevice'> {
  format?: 'mtree' | 'json';
}

/** The same, as help shows them and as commander takes them. */
export function recordFlags(): Flag[] {
  return [
    choice(
      '--format <how>',
      ['mtree', 'json'],
      'mtree: mtree(5), as mtree and bsdtar read it; json: an array',
    ),
    choice(
      '--digest <how>',
      ['none', 'sha256'],
      'sha256: read every file, and record the digest of its content',
    ),
    flag('--ignore <glob>', 'leave these out, and do not enter them; repeatable', collect),
    crossDeviceFlag,
  ];
}
