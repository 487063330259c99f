/** First bytes of a file that tell of nearly every executable: program headers follow an ELF header at once. */
const DETECT_LENGTH = 1 << 12;
/** First bytes that are looked at, at most: the programs in a universal binary begin at 16 KiB as a rule. */
const MAX_DETECT_LENGTH = 1 << 16;

const SHEBANG = 0x2321;
const LEFT_BRACKET = 0x5b;

/** ELF: System V ABI, chapters 4 and 5. */
const ELF_MAGIC = 0x7f454c46;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_INTERP = 3;
/**
 * Offsets of the fields for the position, the length and the number of the program headers, and the only length of a program header
 * with which the kernel runs a file.
 */
const elfFields = {
  32: { length: 52, phoff: 28, phentsize: 42, phnum: 44, step: 32 },
  64: { length: 64, phoff: 32, phentsize: 54, phnum: 56, step: 56 },
} as const;

/** Mach-O, <mach-o/loader.h>: magic numbers of 32 and 64 bits, and where the file type stands. */
const machMagics: readonly number[] = [0xfeedface, 0xfeedfacf];
const MACH_FILETYPE = 12;
const MACH_LENGTH = 16;
const MH_EXECUTE = 2;
/** Universal binaries, <mach-o/fat.h>: magic numbers, and where the first program's offset stands. */
const FAT_MAGIC = 0xcafebabe;
const FAT_MAGIC_64 = 0xcafebabf;
const FAT_COUNT = 4;
const FAT_OFFSET = 16;
const FAT_LENGTH = 24;
/** Java class files have the same magic, and their version in place of the count: 45 or more (JVM 4.1). */
const LEAST_JAVA_VERSION = 45;

/** So many first bytes of a file, or all that it has. */
export type FirstBytes = (length: number) => Uint8Array;

/** What reads the first bytes of a file that is open. */
export function readerOf(file: { read(maxBytes: number): Uint8Array }): FirstBytes {
  return (length) => file.read(length);
}

/**
 * Whether a file is one that is run: {@link detectExecutable} of its first 4096 bytes, or, where these do not tell, of up
 * to 64 KiB.
 */
export function isExecutableFile(read: FirstBytes): boolean {
  const found = detectExecutable(read(DETECT_LENGTH));
  if (typeof found === 'boolean') return found;
  return found <= MAX_DETECT_LENGTH && detectExecutable(read(found)) === true;
}

/**
 * Whether a file is one that is run, by its first bytes: a script with `#!`, an ELF program (of fixed address, or with an
 * interpreter, which a shared library has not), or a Mach-O program, thin or universal. A statically linked ELF program
 * of variable address (static-pie) looks like a library here, and is taken for one. `#![` begins Rust source, not a
 * script.
 *
 * @param bytes the first bytes, or all, of a file
 * @returns how many first bytes it takes to tell, where that is more than were given
 */
export function detectExecutable(bytes: Uint8Array): boolean | number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 4) return isScript(view);
  if (isScript(view)) return true;
  if (view.getUint32(0) === ELF_MAGIC) return detectElf(view);
  return detectMachO(view) || detectUniversal(view);
}

function isScript(view: DataView): boolean {
  if (view.byteLength < 2 || view.getUint16(0) !== SHEBANG) return false;
  return view.byteLength === 2 || view.getUint8(2) !== LEFT_BRACKET;
}

function detectElf(view: DataView): boolean | number {
  if (view.byteLength < elfFields[32].length) return false;
  const bits = view.getUint8(4) === ELFCLASS64 ? 64 : 32;
  const isLittle = view.getUint8(5) === ELFDATA2LSB;
  const type = view.getUint16(16, isLittle);
  if (type !== ET_DYN || view.byteLength < elfFields[bits].length) return type === ET_EXEC;
  const { phoff, phentsize, phnum, step } = elfFields[bits];
  if (view.getUint16(phentsize, isLittle) !== step) return false;
  const start = bits === 64 ? Number(view.getBigUint64(phoff, isLittle)) : view.getUint32(phoff, isLittle);
  const end = start + step * view.getUint16(phnum, isLittle);
  for (let header = start; header < end; header += step) {
    if (header + 4 > view.byteLength) return end;
    if (view.getUint32(header, isLittle) === PT_INTERP) return true;
  }
  return false;
}

function detectMachO(view: DataView): boolean {
  if (view.byteLength < MACH_LENGTH) return false;
  const isLittle = machMagics.includes(view.getUint32(0, true));
  if (!isLittle && !machMagics.includes(view.getUint32(0))) return false;
  return view.getUint32(MACH_FILETYPE, isLittle) === MH_EXECUTE;
}

function detectUniversal(view: DataView): boolean | number {
  if (view.byteLength < FAT_LENGTH) return false;
  const isLittle = isFat(view.getUint32(0, true));
  const magic = view.getUint32(0, isLittle);
  if (!isFat(magic)) return false;
  const count = view.getUint32(FAT_COUNT, isLittle);
  if (count === 0 || count >= LEAST_JAVA_VERSION) return false;
  const start =
    magic === FAT_MAGIC_64
      ? Number(view.getBigUint64(FAT_OFFSET, isLittle))
      : view.getUint32(FAT_OFFSET, isLittle);
  const end = start + MACH_LENGTH;
  if (end > view.byteLength) return end;
  return detectMachO(new DataView(view.buffer, view.byteOffset + start, MACH_LENGTH));
}

function isFat(magic: number): boolean {
  return magic === FAT_MAGIC || magic === FAT_MAGIC_64;
}
