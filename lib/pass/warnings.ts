import { checkedManifest, type ManifestWarning } from '../manifest/manifest.ts';
import type { Settings } from '../settings.ts';
import type { Plan } from './plan.ts';

/** What is said of a manifest beside what became of its entries: its own warnings, and what its modes do not say. */
export function warningsOf({ manifest, detect }: Settings, plan: Plan): readonly ManifestWarning[] {
  const warnings = checkedManifest(manifest)?.warnings ?? [];
  if (!detect || !plan.lacksExecutables) return warnings;
  const message = 'no file of the manifest has an exec bit, so detect looked into each of them';
  return [...warnings, { code: 'no-exec-bits', message }];
}
