"""Exchange every staging directory in a directory with a decoy, and back, until standard input ends.

Arguments: the directory, a decoy that is a link, and one that is a directory with a tree that nobody extracted. What
was taken away is made again.
"""

import os
import shutil
import sys

from exchange import exchange, until_told

directory, link, foreign = sys.argv[1:]
target = os.readlink(link)
turn = 0


def make_link():
    if os.path.islink(link):
        return
    shutil.rmtree(link, ignore_errors=True)
    os.symlink(target, link)


def make_foreign():
    if os.path.exists(os.path.join(foreign, "tree", "foreign")):
        return
    shutil.rmtree(foreign, ignore_errors=True)
    for name in ("tree", "old-1"):
        os.makedirs(os.path.join(foreign, name))
        with open(os.path.join(foreign, name, "foreign"), "w") as file:
            file.write("foreign")


def attack():
    global turn
    done = 0
    for name in os.listdir(directory):
        if not name.startswith(".permwalk-"):
            continue
        staging = os.path.join(directory, name)
        turn += 1
        make_link()
        make_foreign()
        try:
            for _ in range(2 * (1 + turn % 50)):
                exchange(staging, link if turn % 2 else foreign)
                done += 1
        except FileNotFoundError:
            # Taken away under our hands: what has the decoy's name now is the staging directory.
            pass
    return done


until_told(attack, 2)
