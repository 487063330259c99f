import type { RecordOptions } from '../record/options.ts';
import { choice, type Flag, flag } from './flags.ts';

/** The flags of `permwalk record`. A flag that was not given is absent. */
export interface RecordFlags extends Pick<RecordOptions, 'digest' | 'ignore' | 'crossDevice'> {
  format?: 'mtree' | 'json';
}

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
    flag('--ignore <glob>', 'leave these out, and do not enter them; repeatable', (glob, before = []) => [
      ...before,
      glob,
    ]),
    flag('--cross-device', 'enter mount points below the root (default: no)'),
  ];
}
