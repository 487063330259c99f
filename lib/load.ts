/** How many loads want `require` right now. */
let waiting = 0;

/**
 * Load a dependency that is CommonJS and requires Node's own modules. Bundlers that make one ES module of everything (esbuild) leave
 * those calls to a global `require`, which ES modules do not have: there it is put in place while the dependency is loaded.
 *
 * @param name of the dependency
 * @param load the import of it, and nothing else: where it says something else than was written, it was bundled
 */
export async function loadCommonJs<T>(name: string, load: () => Promise<T>): Promise<T> {
  const isAsWritten = new RegExp(`\\bimport\\(\\s*["'\`]${name}["'\`]`).test(String(load));
  if (isAsWritten || (waiting === 0 && 'require' in globalThis)) return load();
  waiting += 1;
  Object.defineProperty(globalThis, 'require', { value: process.getBuiltinModule, configurable: true });
  try {
    return await load();
  } finally {
    waiting -= 1;
    if (waiting === 0) Reflect.deleteProperty(globalThis, 'require');
  }
}
