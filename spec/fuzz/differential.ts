/**
 * Compares what permwalk has of mutated archives with what Python and libarchive (bsdtar) have. Every difference is one that was
 * looked at and stands in the table of `known.ts`, or a finding.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManifestError } from '../../lib/errors.ts';
import { readTarManifest } from '../../lib/manifest/tar.ts';
import { readZipManifest } from '../../lib/manifest/zip.ts';
import { type Case, differencesOf, type Outcome } from './compare.ts';
import { makeCorpus, readCorpus, type Sample } from './corpus.ts';
import { classify } from './known.ts';
import { Reader } from './readers.ts';
import { reshape } from './reshape.ts';
import { makeScratch } from './scratch.ts';

/** What came of it. */
export interface Comparison {
  inputs: number;
  /** How many gave a manifest. */
  manifests: number;
  /** How many all three read alike. */
  alike: number;
  /** How many inputs showed a known difference, by its name. */
  known: Map<string, number>;
  findings: { number: number; what: string }[];
}

/** The archives of the corpus that all three read. */
export function archivesIn(directory: string): Sample[] {
  makeCorpus(directory);
  return readCorpus(directory).filter(({ name }) => /\.(zip|tar)$/.test(name));
}

/** Compare so many archives, from a number on or until a time is over. */
export async function compareReaders(
  seed: number,
  { from = 0, inputs, ms = Number.POSITIVE_INFINITY }: { from?: number; inputs: number; ms?: number },
): Promise<Comparison> {
  const directory = makeScratch();
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const readers = [new Reader('python'), new Reader('libarchive')];
  const result: Comparison = { inputs: 0, manifests: 0, alike: 0, known: new Map(), findings: [] };
  const end = performance.now() + ms;
  try {
    const corpus = archivesIn(join(directory, 'corpus'));
    for (let number = from; number < from + inputs && performance.now() < end; number += 1) {
      note(result, number, await readByAll(reshape(corpus, seed, number), directory, readers));
    }
  } finally {
    for (const reader of readers) reader.close();
    process.off('exit', remove);
    remove();
  }
  return result;
}

async function readByAll(
  { name, bytes }: Sample,
  directory: string,
  readers: readonly Reader[],
): Promise<Case> {
  const kind = name.endsWith('.zip') ? 'zip' : 'tar';
  const path = join(directory, `input.${kind}`);
  writeFileSync(path, bytes);
  const asked = readers.map(async (reader) => [reader.name, await reader.ask(kind, path)] as const);
  const ours = await outcomeOf(kind, path);
  return { kind, bytes, ours, answers: new Map(await Promise.all(asked)) };
}

async function outcomeOf(kind: 'zip' | 'tar', path: string): Promise<Outcome> {
  try {
    return { manifest: await (kind === 'zip' ? readZipManifest(path) : readTarManifest(path)) };
  } catch (error) {
    if (error instanceof ManifestError) return { refusal: error.message };
    throw error;
  }
}

function note(result: Comparison, number: number, one: Case): void {
  const differences = differencesOf(one);
  result.inputs += 1;
  if ('manifest' in one.ours) result.manifests += 1;
  if (differences.length === 0) result.alike += 1;
  const names = new Set<string>();
  for (const difference of differences) {
    const known = classify(difference, { ...one, differences });
    if (known !== undefined) names.add(known.name);
    else result.findings.push({ number, what: JSON.stringify(difference) });
  }
  for (const name of names) result.known.set(name, (result.known.get(name) ?? 0) + 1);
}
