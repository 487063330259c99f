/**
 * Lets Node read TypeScript: `node --import ./spec/typescript/register.js program.ts`.
 *
 * Types are stripped by esbuild, once a file: what was made is kept, so that a process which runs a spec starts in half the time
 * that it takes with a loader that asks for every module anew. From 22.18 on Node strips types itself.
 */
import { register } from 'node:module';

register('./hooks.js', import.meta.url);
process.setSourceMapsEnabled(true);
