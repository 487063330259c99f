"""Make directories in one another, deeper than any path can name. Arguments: where, how deep.

Names are as long as they can be. Every tenth directory has a file and a link to it beside the next directory.
"""

import os
import sys

NAME = "d" * 255
os.umask(0o022)
os.chdir(sys.argv[1])
for level in range(int(sys.argv[2])):
    if level % 10 == 0:
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o644))
        os.symlink("f", "l")
    os.mkdir(NAME, 0o755)
    os.chdir(NAME)
