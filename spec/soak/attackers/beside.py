"""As another user, attack everything beside and below a destination while somebody else works on it.

Arguments: the directory that the destination is in, the directory that this one is in, a directory outside, a directory
of one's own, and the user. It attacks as long as there is `go` in its own directory; `idle` there says that it does not. Each time
it begins it is the turn of one of these, then of all of them:

- `below`: in `plugins` of the old tree, which is this user's, a directory and a link to the outside are exchanged, even
  when the tree has been moved: it is held by a descriptor;
- `beside`: what lies beside the destination is moved away, and links to the outside take its names; one takes the name of the
  destination where that is free;
- `above`: the parent of the destination is exchanged with a link to the outside.

What had an effect is a file of that name in its own directory.
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
    destination = os.path.join(parent, "app")
    done = attempt(os.symlink, os.path.join(outside, "app"), destination)
    if done > 0:
        attempt(os.unlink, destination)
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
    if attempt(os.unlink, idle):
        turn += 1
    done = 0
    for place in turns[turn % len(turns)]:
        try:
            here = place()
        except FileNotFoundError:
            continue
        if here > 0:
            os.close(os.open(os.path.join(own, place.__name__), os.O_CREAT | os.O_WRONLY))
        done += here
    return done


turns = [(below,), (beside,), (above,), (beside, above, below)]
until_told(attack, 2)
