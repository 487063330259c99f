import { posix } from 'node:path';
import { type ManifestEntry, setTraits } from './manifest.ts';

/** Path of an MCP bundle's own manifest, and the longest that is read, in bytes. */
export const BUNDLE_MANIFEST = 'manifest.json';
export const MAX_BUNDLE_MANIFEST = 1 << 20;

/**
 * What `mcpb sign` puts behind the archive: a header, the length of what follows as 32 bits, a PKCS #7 signature, and a
 * footer (MCPB, CLI.md, "Signature Format").
 */
const SIGNATURE_HEADER = 'MCPB_SIG_V1';
const SIGNATURE_FOOTER = 'MCPB_SIG_END';

/** What stands for the directory of the bundle, and for a separator (MCPB, MANIFEST.md, "Variable Substitution"). */
const bundleDirectory = `\${__dirname}/`;
const separators = /\$\{(?:\/|pathSeparator)\}|\\/g;
/** Mode of an executable of which none is known. */
const EXECUTABLE = 0o755;
const READ_BITS = 0o444;
const EXEC_BITS = 0o111;
const PERMISSION_BITS = 0o777;

/**
 * Mark the files executable that the manifest of an MCP bundle (`.mcpb`) runs: the `entry_point` of a server of type
 * `binary`, and the `command` of any server if it names a path in the bundle, on every platform (MCPB, MANIFEST.md,
 * "Server Configuration"). A file of unknown mode, or without any permission bit, gets mode 0755. Any other file without
 * exec bits gets x where it has r. Entries are changed in place.
 *
 * @param text content of the bundle's `manifest.json`. Another kind of `manifest.json` marks nothing.
 */
export function markBundleExecutables(entries: readonly ManifestEntry[], text: Uint8Array): void {
  const executables = findExecutables(text);
  if (executables.size === 0) return;
  for (const entry of entries) {
    if (entry.type !== 'file' || !executables.has(entry.path)) continue;
    if (((entry.mode ?? 0) & EXEC_BITS) === 0) setTraits(entry, { isMarkedExecutable: true });
    entry.mode = executableMode(entry.mode);
  }
}

/** Length in bytes of the signature in which a file ends; 0 where it has none. */
export function signatureLength(tail: Buffer): number {
  const footer = tail.length - SIGNATURE_FOOTER.length;
  const start = tail.lastIndexOf(SIGNATURE_HEADER);
  const content = start + SIGNATURE_HEADER.length + 4;
  if (start === -1 || content > footer || !tail.subarray(footer).equals(Buffer.from(SIGNATURE_FOOTER)))
    return 0;
  return content + tail.readUInt32LE(content - 4) === footer ? tail.length - start : 0;
}

function executableMode(mode: number | undefined): number {
  if (mode === undefined || (mode & PERMISSION_BITS) === 0) return EXECUTABLE;
  return (mode & EXEC_BITS) === 0 ? mode | ((mode & READ_BITS) >> 2) : mode;
}

/** Paths in the bundle that its manifest says are run. */
function findExecutables(text: Uint8Array): Set<string> {
  const server = propertyOf(parseJson(text), 'server');
  const type = propertyOf(server, 'type');
  if (typeof type !== 'string') return new Set();
  const config = propertyOf(server, 'mcp_config');
  const overrides = propertyOf(config, 'platform_overrides');
  const configs = [config, ...(isObject(overrides) ? Object.values(overrides) : [])];
  const commands = configs.map((each) => pathOfCommand(propertyOf(each, 'command')));
  const entryPoint = propertyOf(server, 'entry_point');
  const run = [...commands, type === 'binary' ? pathInBundle(entryPoint) : undefined];
  return new Set(run.filter((path) => path !== undefined));
}

/** A command is a path in the bundle where it says so, or has a separator; any other is found by the system. */
function pathOfCommand(command: unknown): string | undefined {
  const path = pathInBundle(command);
  return typeof command === 'string' && command.replace(separators, '/').includes('/') ? path : undefined;
}

/** A path in the one spelling that entries have. What leads out of the bundle is the path of no entry. */
function pathInBundle(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const path = value.replace(separators, '/');
  return posix.normalize(path.startsWith(bundleDirectory) ? path.slice(bundleDirectory.length) : path);
}

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(text));
  } catch {
    return undefined;
  }
}

function propertyOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
