"""Have names of a directory be files, links to what is outside, directories and FIFOs, and nothing in between.

Arguments: the directory, how many names, the file and the directory outside that the links lead to.
"""

import os
import sys

from exchange import until_told

directory, count, outside_file, outside_directory = sys.argv[1:]
names = [os.path.join(directory, f"n{number}") for number in range(int(count))]


def churn():
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(name)
        os.symlink(outside_file, name)
        os.unlink(name)
        os.mkdir(name, 0o700)
        os.rmdir(name)
        os.symlink(outside_directory, name)
        os.unlink(name)
        os.mkfifo(name, 0o600)
        os.unlink(name)
    return 5 * len(names)


until_told(churn, 2)
