"""Make files in a directory, up to a number that the disk can bear, then take away and make the last one again."""

import os
import sys
import time

from exchange import until_told

directory, most = sys.argv[1], int(sys.argv[2])
count = 0


def grow():
    global count
    if count == most:
        count -= 1
        # It need not change more often than it can be listed: whoever does that needs the processor.
        time.sleep(0.001)
        os.unlink(os.path.join(directory, f"n{count}"))
    os.close(os.open(os.path.join(directory, f"n{count}"), os.O_CREAT | os.O_WRONLY, 0o600))
    count += 1
    return 1


until_told(grow)
