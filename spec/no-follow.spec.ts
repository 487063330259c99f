import fs, { constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type * as noFollow from '../lib/directory/no-follow.ts';

/** macOS's; open(2) there. */
const O_NOFOLLOW_ANY = 0x20000000;
const EXECUTABLE = fs.realpathSync.native(process.execPath);
const LINK = '/tmp/.';

/** What a system answers where it is asked to open an ordinary file, and a path that leads through a link on macOS. */
interface System {
  platform: NodeJS.Platform;
  file: string;
  link: string;
}

/** Which flag is taken on a system, what was opened to find that out, and how much of that was left open. */
async function flagOn({ platform, file, link }: System) {
  const original = { platform: process.platform, openSync: fs.openSync, closeSync: fs.closeSync };
  const opened: [path: string, flags: number][] = [];
  let left = 0;
  const openSync = (path: string, flags: number): number => {
    opened.push([path, flags]);
    const code = path === EXECUTABLE ? file : link;
    if (code !== 'opened') throw Object.assign(new Error(code), { code });
    left += 1;
    return 1000;
  };
  const closeSync = () => {
    left -= 1;
  };
  // What it finds out it remembers: each system has a module of its own. Bun takes all URLs of a file for one, but not paths.
  const url = new URL(`../dist/directory/no-follow.js?${platform}-${file}-${link}`, import.meta.url);
  const { noFollowFlag, isAnyRefused } = (await import(fileURLToPath(url) + url.search)) as typeof noFollow;
  Object.defineProperty(process, 'platform', { value: platform, configurable: true, enumerable: true });
  Object.assign(fs, { openSync, closeSync });
  try {
    const flags = [noFollowFlag(), noFollowFlag()];
    return { flags, isAnyRefused: isAnyRefused(), opened, left };
  } finally {
    Object.defineProperty(process, 'platform', {
      value: original.platform,
      configurable: true,
      enumerable: true,
    });
    Object.assign(fs, { openSync: original.openSync, closeSync: original.closeSync });
  }
}

const test = suite('no-follow');

test('where macOS refuses links in all components, it is asked to, and is tried once', async () => {
  const { flags, isAnyRefused, opened, left } = await flagOn({
    platform: 'darwin',
    file: 'opened',
    link: 'ELOOP',
  });
  assert.equal([flags, isAnyRefused, left], [[O_NOFOLLOW_ANY, O_NOFOLLOW_ANY], true, 0]);
  const tried = constants.O_RDONLY | constants.O_NONBLOCK | O_NOFOLLOW_ANY;
  assert.equal(opened, [
    [EXECUTABLE, tried],
    [LINK, tried],
  ]);
});

test('where the flag is not known, links are refused in the last component', async () => {
  for (const [file, link] of [
    ['opened', 'opened'],
    ['EINVAL', 'EINVAL'],
    ['opened', 'EINVAL'],
    ['ELOOP', 'ELOOP'],
    ['EACCES', 'ELOOP'],
  ] as const) {
    const { flags, isAnyRefused, left } = await flagOn({ platform: 'darwin', file, link });
    assert.equal([flags, isAnyRefused], [[constants.O_NOFOLLOW, constants.O_NOFOLLOW], false]);
    assert.is(left, 0);
  }
});

test('elsewhere the bit may mean anything, and is not tried', async () => {
  for (const platform of ['linux', 'freebsd'] as const) {
    const { flags, isAnyRefused, opened } = await flagOn({ platform, file: 'opened', link: 'ELOOP' });
    assert.equal([flags, isAnyRefused], [[constants.O_NOFOLLOW, constants.O_NOFOLLOW], false]);
    assert.equal(opened, []);
  }
});

test.run();
