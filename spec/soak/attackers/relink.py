"""Have a name be a new file, then a further link to a file outside, then nothing, until standard input ends."""

import os
import sys

from exchange import until_told

name, outside, aside = sys.argv[1:]


def relink():
    os.link(outside, aside)
    os.rename(aside, name)
    os.unlink(name)
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
    return 1


until_told(relink)
