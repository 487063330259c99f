/** Where `build.ts` puts JavaScript, below the checkout: side by side, and where packages are found. */
export const BUILT = 'node_modules/.cache/permwalk-built';

/** What is made of a file of the checkout, without its ending. */
export function nameOfBuilt(file: string): string {
  return file.replace(/\.ts$/, '').replaceAll(/[\\/]/g, '-');
}
