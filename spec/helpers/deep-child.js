/**
 * One pass with permwalk as it is built, and what it costs: `{ "counts": { "visited", "changed" }, "cpu", "peak" }`.
 *
 *     node deep-child.js LIBRARY ROOT OPTIONS
 */
const [, , library, root, options] = process.argv;
const { applyPermissions } = await import(library);

const before = process.cpuUsage();
const { counts } = await applyPermissions(root, JSON.parse(options));
const { user, system } = process.cpuUsage(before);
const { visited, changed } = counts;
const { maxRSS } = process.resourceUsage();
process.stdout.write(JSON.stringify({ counts: { visited, changed }, cpu: user + system, peak: maxRSS }));
