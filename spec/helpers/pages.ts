import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a page. */
export interface Block {
  language: string;
  code: string;
}

/** A Markdown page of the checkout. */
export interface Page {
  /** Path below the checkout. */
  path: string;
  text: string;
  blocks: Block[];
  /** Targets of links and images, as they are written. */
  links: string[];
  /** Texts of its headings. */
  headings: string[];
}

/** Read a page. */
export function readPage(path: string): Page {
  const text = readFileSync(join(checkout, path), 'utf8');
  const fence = /^```(\S*)\n(.*?)^```$/gms;
  const prose = text.replace(fence, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''));
  return {
    path,
    text,
    blocks: [...text.matchAll(fence)].map(([, language = '', code = '']) => ({ language, code })),
    links: [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    headings: [...text.replace(fence, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading),
  };
}

/** README and the pages of `docs`, which the package holds, too. */
export const shippedPages = ['README.md', ...namesIn('docs')].map(readPage);
/** Those of `.github`. */
export const repositoryPages = namesIn('.github').map(readPage);

function namesIn(folder: string): string[] {
  const names = readdirSync(join(checkout, folder)).filter((name) => name.endsWith('.md'));
  return names.sort().map((name) => `${folder}/${name}`);
}

/** The anchor that a heading gets, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** Why a link leads nowhere, or `undefined`. Links to other sites are not followed. */
export function faultOf(link: string, page: Page): string | undefined {
  if (/^https:\/\//.test(link)) return undefined;
  if (/^([a-z]+:|\/)/.test(link)) return 'is neither relative nor https';
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? page.path : posix.join(posix.dirname(page.path), file);
  if (target.startsWith('..')) return 'leads out of the checkout';
  if (!existsSync(join(checkout, target))) return `there is no ${target}`;
  if (anchor === undefined) return undefined;
  return readPage(target).headings.some((heading) => anchorOf(heading) === anchor)
    ? undefined
    : `${target} has no heading #${anchor}`;
}

/** The file that a relative link leads to; `undefined` for a link to another site. */
export function fileOf(link: string, page: Page): string | undefined {
  const [file = ''] = link.split('#');
  if (/^https:/.test(link) || file === '') return undefined;
  return posix.join(posix.dirname(page.path), file);
}
