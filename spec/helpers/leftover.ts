import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { hostId } from '../../lib/extract/marker.ts';
import { addToTree, type TreeShape } from './tree.ts';

/** Name of the marker in a staging directory of this host. */
export const MARKER = `owner-${hostId()}`;

/** A Unix socket that nobody listens on any more, as a process leaves it that was killed. */
export async function deadSocket(path: string): Promise<void> {
  const server = createServer();
  const bound = `${path}~`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(bound, resolve);
  });
  renameSync(bound, path);
  await new Promise((resolve) => server.close(resolve));
}

/**
 * What a process leaves beside a destination that was killed while it extracted.
 *
 * @param marker name of its marker; none where it is empty
 * @returns its path
 */
export async function leftover(directory: string, shape: TreeShape, marker = MARKER): Promise<string> {
  const path = join(directory, `.permwalk-${randomBytes(6).toString('base64url')}`);
  mkdirSync(path, { mode: 0o700 });
  addToTree(path, shape);
  if (marker !== '') await deadSocket(join(path, marker));
  return path;
}
