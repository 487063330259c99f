import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runPass } from '../lib/apply.ts';
import type { ApplyOptions } from '../lib/options.ts';
import type { Root } from '../lib/root/root.ts';
import { passes, reasonsOf } from './helpers/passes.ts';
import { makeTree, modesBelow } from './helpers/tree.ts';

type Method = 'list' | 'enter' | 'lstat' | 'chmod' | 'readlink';

/** A root whose method fails once for a path, with an error that another moment does not have. */
function failingOnce(root: Root, method: Method, path: string, code: string): Root {
  let hasFailed = false;
  return new Proxy(root, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]) => {
        if (name === method && parameters[0] === path && !hasFailed) {
          hasFailed = true;
          throw Object.assign(new Error(`${code}: injected`), { code, syscall: method, path });
        }
        return value.apply(target, parameters);
      };
    },
  });
}

const shape = { 'a/f': 0o600, 'a/d/g': 0o600, 'a/d/l': '-> ../f', 'b/h': 0o600 };
const paths = ['.', 'a', 'a/f', 'a/d', 'a/d/g', 'a/d/l', 'b', 'b/h'];
const manifest = ['a/f', 'a/d/g', 'b/h'];
const retry = { retries: 5, minTimeout: 1, maxTimeout: 2 };
const variants: Record<string, ApplyOptions> = {
  'a walk': { mode: 'go+r' },
  'a walk that closes directories': { mode: 'a-x,go+r' },
  'a manifest': { mode: 'go+r', manifest },
  'a manifest and a walk': { mode: 'go+r', manifest, discover: true },
};

for (const { backend, open } of passes) {
  const test = suite(`faults (${backend})`);

  for (const [name, options] of Object.entries(variants)) {
    for (const method of ['list', 'enter', 'lstat', 'chmod', 'readlink'] as const) {
      test(`${method} fails once in ${name}: retried, and everything counts once`, async () => {
        const whole = makeTree(shape);
        const expected = await runPass(whole, { ...options, retry }, open);
        for (const path of paths) {
          const root = makeTree(shape);
          const faulty = (of: string) => failingOnce(open(of), method, path, 'EMFILE');
          const report = await runPass(root, { ...options, retry, strict: false }, faulty);
          assert.equal(reasonsOf(report), [], path);
          assert.equal(report.counts, expected.counts, path);
          assert.equal(modesBelow(root), modesBelow(whole), path);
        }
      });
    }
  }

  test.run();
}
