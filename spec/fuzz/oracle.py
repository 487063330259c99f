"""Says what another reader has of archives: `oracle.py python|libarchive`.

Reads a line `zip|tar PATH` for each archive, and answers with a line of JSON: the entries in their order, what was said against
them, and what stopped it. Names are text with bytes that are not UTF-8 as lone surrogates, as everywhere in a manifest.
"""

import ctypes
import json
import locale
import stat
import sys
import tarfile
import warnings
import zipfile

# Content that is read at most: that of links.
MAX_TEXT = 1 << 16
UNIX = (3, 19)


def kind_of(mode):
    kinds = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink'}
    return kinds.get(stat.S_IFMT(mode), 'other')


def zip_entry(archive, info):
    word = info.external_attr >> 16
    one = {'path': info.filename, 'size': info.file_size, 'system': info.create_system}
    if info.filename.endswith('/'):
        one['type'] = 'directory'
    elif info.create_system in UNIX and stat.S_IFMT(word) != 0:
        one['type'] = kind_of(word)
    elif info.create_system in UNIX:
        one['type'] = 'file'
    if info.create_system in UNIX and word != 0:
        one['mode'] = stat.S_IMODE(word)
    try:
        # Compares the local header with the central one.
        with archive.open(info) as content:
            if one.get('type') == 'symlink':
                one['linkTarget'] = content.read(MAX_TEXT).decode('utf-8', 'surrogateescape')
    except Exception as error:
        one['fault'] = '%s: %s' % (type(error).__name__, error)
    return one


def list_zip(path):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            yield zip_entry(archive, info)


def tar_entry(info):
    one = {'path': info.name, 'mode': stat.S_IMODE(info.mode), 'size': info.size}
    if info.islnk():
        one['hardLink'] = info.linkname
    elif info.issym():
        one['type'], one['linkTarget'] = 'symlink', info.linkname
    elif info.isdir():
        one['type'] = 'directory'
    else:
        # What it does not know it takes for a file.
        is_file = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        one['type'] = 'file' if is_file else 'other'
    return one


def list_tar(path):
    with tarfile.open(path, 'r:') as archive:
        for info in archive:
            yield tar_entry(info)
        # A broken header ends an archive without a word.
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(512).strip(b'\0'):
            yield {'path': None, 'isBroken': True}


class Libarchive:
    """What bsdtar reads with."""

    OK, EOF, WARN, FATAL = 0, 1, -20, -30

    def __init__(self):
        self.lib = lib = ctypes.CDLL('libarchive.so.13')
        locale.setlocale(locale.LC_ALL, 'C.UTF-8')
        for function in ('archive_read_new', 'archive_entry_pathname', 'archive_entry_symlink',
                         'archive_entry_hardlink', 'archive_error_string', 'archive_version_string'):
            getattr(lib, function).restype = ctypes.c_void_p
        for function in ('archive_entry_size', 'archive_entry_filetype', 'archive_entry_perm'):
            getattr(lib, function).argtypes = [ctypes.c_void_p]
        lib.archive_entry_size.restype = ctypes.c_int64

    def text(self, pointer):
        return None if not pointer else ctypes.string_at(pointer).decode('utf-8', 'surrogateescape')

    def list(self, path):
        lib = self.lib
        archive = ctypes.c_void_p(lib.archive_read_new())
        entry = ctypes.c_void_p()
        try:
            lib.archive_read_support_filter_all(archive)
            lib.archive_read_support_format_all(archive)
            if lib.archive_read_open_filename(archive, path.encode(), ctypes.c_size_t(10240)) != self.OK:
                raise ValueError(self.text(lib.archive_error_string(archive)))
            while True:
                result = lib.archive_read_next_header(archive, ctypes.byref(entry))
                if result == self.EOF:
                    return
                said = self.text(lib.archive_error_string(archive)) if result != self.OK else None
                if result < self.WARN:
                    raise ValueError(said)
                yield self.entry(entry, said)
        finally:
            lib.archive_read_free(archive)

    def entry(self, entry, said):
        lib = self.lib
        one = {'path': self.text(lib.archive_entry_pathname(entry)), 'mode': lib.archive_entry_perm(entry)}
        if lib.archive_entry_size_is_set(entry):
            one['size'] = lib.archive_entry_size(entry)
        hard_link = self.text(lib.archive_entry_hardlink(entry))
        kind = lib.archive_entry_filetype(entry)
        if hard_link is not None:
            one['hardLink'] = hard_link
        else:
            one['type'] = kind_of(kind)
        if one.get('type') == 'symlink':
            one['linkTarget'] = self.text(lib.archive_entry_symlink(entry))
        if said is not None:
            one['fault'] = said
        return one


def main():
    warnings.simplefilter('ignore')
    libarchive = Libarchive() if sys.argv[1] == 'libarchive' else None
    for line in sys.stdin:
        kind, path = line.rstrip('\n').split(' ', 1)
        entries, error = [], None
        try:
            listing = libarchive.list(path) if libarchive else list_zip(path) if kind == 'zip' else list_tar(path)
            for one in listing:
                entries.append(one)
        except Exception as failure:
            error = '%s: %s' % (type(failure).__name__, failure)
        print(json.dumps({'entries': entries, 'error': error}), flush=True)


main()
