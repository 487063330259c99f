import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join } from 'node:path';
import { BUILT } from './built.ts';

const builtPosition = new RegExp(`(?:file://)?[^\\s('"]*/${BUILT}/([\\w.-]+\\.js):(\\d+):(\\d+)`, 'g');

/**
 * What a process printed, with positions in sources where stacks have those in what was made of them. Node does the same with
 * `--enable-source-maps`, but it reads every map before anything has failed: a third of what such a process takes to start.
 */
export function withSourcePositions(output: string, checkout: string): string {
  const maps = new Map<string, SourceMap>();
  const mapOf = (file: string): SourceMap => {
    const map = maps.get(file) ?? readMap(join(checkout, BUILT, `${file}.map`));
    maps.set(file, map);
    return map;
  };
  return output.replaceAll(builtPosition, (position, file: string, line: string, column: string) => {
    const entry = mapOf(file).findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return position;
    const { originalSource, originalLine, originalColumn } = entry;
    return `${join(checkout, BUILT, originalSource)}:${originalLine + 1}:${originalColumn + 1}`;
  });
}

function readMap(path: string): SourceMap {
  return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload);
}
