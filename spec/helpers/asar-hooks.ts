/**
 * Hooks of the module loader for the imitated Electron: modules are read from archives. What a package in an archive depends on and
 * is not there itself is found from the checkout, as what is not packed is.
 */
import type { LoadHook, ResolveHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Asar } from './asar.ts';

const inArchive = /^(.*?\.asar)\/(.*)$/;

export const resolve: ResolveHook = async (specifier, context, next) => {
  const base = context.parentURL ?? '';
  if (!inArchive.test(base) && !inArchive.test(specifier)) return next(specifier, context);
  const isPath = /^(?:file:|\.{0,2}\/)/.test(specifier);
  if (!isPath) return next(specifier, { ...context, parentURL: import.meta.url });
  return {
    url: new URL(specifier, base === '' ? undefined : base).href,
    format: 'module',
    shortCircuit: true,
  };
};

export const load: LoadHook = async (url, context, next) => {
  const [, archive, inside] = inArchive.exec(url) ?? [];
  if (archive === undefined || inside === undefined) return next(url, context);
  const source = Asar.open(fileURLToPath(archive))?.read(inside);
  if (source === undefined) throw new Error(`${inside} is not in ${archive}`);
  return { format: 'module', source, shortCircuit: true };
};
