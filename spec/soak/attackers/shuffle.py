"""Exchange and replace names of a tree at random until standard input ends.

Arguments: `entries` or `directories` (whether directories are among what is exchanged), the tree, a directory on the same file
system to make things in, the directory outside that links lead to, and the directories of the tree to work in. In each of them the
names h0 and h1 are the attacker's. Whoever is attacked may take anything away at any time.
"""

import os
import random
import shutil
import sys

from exchange import exchange, until_told

kind, tree, workshop, outside, *directories = sys.argv[1:]
hot = [os.path.join(tree, directory, f"h{number}") for directory in directories for number in range(2)]
targets = [outside, os.path.join(outside, "n0"), os.path.join(outside, "n2"), "..", ".", "../a", "n0", "h1", "nowhere"]
weights = [4, 8, 4, 1, 1, 1, 1, 1, 1]
turn = 0


def make_file(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o640))


def make_link(path):
    os.symlink(random.choices(targets, weights)[0], path)


def make_fifo(path):
    os.mkfifo(path, 0o640)


def make_directory(path, depth=0):
    os.mkdir(path, 0o755)
    for number in range(4):
        makers = [make_file, make_link, make_fifo]
        if depth < 2:
            makers.append(lambda below: make_directory(below, depth + 1))
        random.choice(makers)(os.path.join(path, f"n{number}"))


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


def attack():
    global turn
    turn += 1
    try:
        one, other = random.sample(hot, 2)
        if random.random() < 0.7:
            bursts = random.randrange(1, 50)
            for _ in range(bursts):
                exchange(one, other)
            return bursts
        new = os.path.join(workshop, f"w{turn}")
        makers = [make_file, make_link, make_link, make_fifo]
        if kind == "directories":
            makers += [make_directory] * 4
        random.choice(makers)(new)
        if os.path.lexists(one):
            exchange(new, one)
            remove(new)
        else:
            os.rename(new, one)
        return 1
    except OSError:
        return 0


until_told(attack)
