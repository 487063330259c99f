import type { ManifestEntry } from '../../lib/manifest/manifest.ts';
import { runPython } from './python.ts';

/** One header of an archive that {@link packTar} makes, and the content behind it. */
export interface PackedMember {
  name?: string | Buffer;
  /** Type flag. Default `'0'`, a file. */
  flag?: string;
  mode?: string;
  /** Size field, octal digits or its 12 bytes. Default: that of the content. */
  size?: string | Buffer;
  link?: string | Buffer;
  prefix?: string | Buffer;
  /** Magic and version. Default: ustar. */
  magic?: string;
  content?: string | Buffer;
  /** Changes the finished header, before its checksum is made. */
  alter?: (header: Buffer) => void;
}

const BLOCK = 512;
export const endMark: Buffer = Buffer.alloc(2 * BLOCK);

/** An archive made in this process, with the end mark, byte for byte as it is told. */
export function packTar(members: readonly PackedMember[]): Buffer {
  return Buffer.concat([...members.map(packMember), endMark]);
}

/** A header and its content, in whole blocks. */
export function packMember(member: PackedMember): Buffer {
  const {
    name = '',
    flag = '0',
    mode = '0000644',
    link = '',
    prefix = '',
    magic = 'ustar\0' + '00',
  } = member;
  const content = Buffer.from(member.content ?? '');
  const size = member.size ?? content.length.toString(8).padStart(11, '0');
  const header = Buffer.alloc(BLOCK);
  const put = (text: string | Buffer, offset: number, length: number): void => {
    Buffer.from(text as string, 'utf8').copy(header, offset, 0, length);
  };
  put(name, 0, 100);
  put(mode, 100, 8);
  put('0000000', 108, 8);
  put('0000000', 116, 8);
  put(size, 124, 12);
  put('00000000000', 136, 12);
  put(flag, 156, 1);
  put(link, 157, 100);
  put(magic, 257, 8);
  put(prefix, 345, 155);
  member.alter?.(header);
  return Buffer.concat([seal(header), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** Put the right checksum into a header. */
export function seal(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** A pax extended header for the next entry, or with the flag `g` for all. */
export function paxHeader(records: Record<string, string | Buffer>, flag = 'x'): PackedMember {
  const content = Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value as string)));
  return { name: 'PaxHeaders/x', flag, content: Buffer.concat(content) };
}

function paxRecord(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = body.length + 1;
  // The length counts its own digits.
  while (String(length).length + body.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

const pythonOracle = `
import json, stat, sys, tarfile
entries = {}
with tarfile.open(sys.argv[1]) as archive:
    for info in archive:
        path = '/'.join(part for part in info.name.split('/') if part not in ('', '.')) or '.'
        one = {'path': path}
        if info.islnk():
            target = '/'.join(part for part in info.linkname.split('/') if part not in ('', '.'))
            one = {**entries.get(target, {'type': 'file', 'mode': stat.S_IMODE(info.mode)}), 'path': path}
        else:
            if info.isdir(): one['type'] = 'directory'
            elif info.issym(): one['type'] = 'symlink'
            elif info.isreg(): one['type'] = 'file'
            one['mode'] = stat.S_IMODE(info.mode)
            if info.isreg(): one['size'] = info.size
            if info.issym(): one['linkTarget'] = info.linkname
        entries.pop(path, None)
        entries[path] = one
keys = ('path', 'type', 'mode', 'size', 'linkTarget')
print(json.dumps([{key: one[key] for key in keys if key in one} for one in entries.values()]))
`;

/** What Python's tarfile says of the entries of an archive: the last of each path, hard links as what they link to. */
export function askTarfile(path: string): ManifestEntry[] {
  return JSON.parse(runPython(pythonOracle, [path])) as ManifestEntry[];
}

const pythonPrelude = `
import io, sys, tarfile
path = sys.argv[1]

def member(name, type=tarfile.REGTYPE, mode=0o644, content=b'', **facts):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = type, mode, len(content)
    for key, value in facts.items(): setattr(info, key, value)
    return info, io.BytesIO(content)
`;

/** Make an archive with Python's tarfile; `path` and `member()` are at hand in the script. */
export function makeWithTarfile(path: string, script: string): string {
  runPython(pythonPrelude + script, [path]);
  return path;
}
