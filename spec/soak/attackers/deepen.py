"""Make directories in one another, each with a file, deeper than any path can name. Arguments: where, how deep."""

import os
import sys

os.chdir(sys.argv[1])
for _ in range(int(sys.argv[2])):
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o600))
    os.mkdir("d")
    os.chdir("d")
