"""Move the first of two names to the second and back, as fast as it goes, until standard input ends."""

import os
import sys

from exchange import until_told

inside, outside = sys.argv[1:]


def move_out_and_back():
    os.rename(inside, outside)
    os.rename(outside, inside)
    return 1


until_told(move_out_and_back)
