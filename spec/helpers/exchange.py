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
names = [os.fsencode(name) for name in sys.argv[1:]]
pairs = list(zip(names[::2], names[1::2]))


def exchange_all():
    for one, other in pairs:
        if renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) != 0:
            sys.exit(f"renameat2: {os.strerror(ctypes.get_errno())}")


exchanges = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    # An even number of rounds: at the end everything is back in its place.
    for _ in range(ROUNDS_BETWEEN_LOOKS):
        exchange_all()
    if exchanges == 0:
        print("ready", flush=True)
    exchanges += ROUNDS_BETWEEN_LOOKS * len(pairs)
print(exchanges)
