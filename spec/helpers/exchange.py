"""Exchange the names of each pair, as fast as it goes, until standard input ends. Prints how often.

Linux only: renameat2 with RENAME_EXCHANGE has no moment at which a name is missing.
"""

import ctypes
import os
import select
import sys

AT_FDCWD = -100
RENAME_EXCHANGE = 2
ROUNDS_BETWEEN_LOOKS = 64

renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


def exchange(one, other):
    """Exchange two names. Raises OSError."""
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one)


def until_told(attack, rounds_between_looks=ROUNDS_BETWEEN_LOOKS):
    """Attack again and again until standard input ends; `attack` returns how much it did. Prints the sum.

    The number of rounds is even: whoever exchanges names has everything back in its place at the end.
    """
    done = 0
    is_ready = False
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(rounds_between_looks):
            done += attack()
        if not is_ready:
            print("ready", flush=True)
            is_ready = True
    print(done)


def pairs_of(names):
    """Names that follow each other, two and two."""
    return list(zip(names[::2], names[1::2]))


if __name__ == "__main__":
    pairs = pairs_of(sys.argv[1:])

    def exchange_all():
        for one, other in pairs:
            exchange(one, other)
        return len(pairs)

    until_told(exchange_all)
