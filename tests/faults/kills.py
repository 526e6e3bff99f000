"""Kills at random moments: half are drawn over the time that the command takes, half over the changes that it makes to its folder."""

import os
import random
import subprocess
import time
from collections import Counter

from scene import CASES, Wrong, compare, torn, tree

# As often a command may end before it is killed.
TRIES = 50


def stamps(folder):
    """Names and sizes of all files."""
    found = []
    for at, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(at, name)
            try:
                found.append((path, os.stat(path).st_size))
            except OSError:
                pass  # It has another name now.
    return found


def watched(process, folder, changes, seconds):
    """Waits until the folder has changed so often, at most so long; how often it has."""
    last, seen, end = stamps(folder), 0, time.monotonic() + seconds
    while seen < changes and process.poll() is None and time.monotonic() < end:
        now = stamps(folder)
        if now != last:
            last, seen = now, seen + 1
    return seen


class Undisturbed:
    """What a command leaves, how long it takes, and how often it changes its folder."""

    def __init__(self, scene, case):
        folder = scene.place(case)
        self.said, self.tree = scene.finish(case, folder)
        began = time.monotonic()
        process = start(scene, case, folder := scene.place(case))
        self.changes = watched(process, folder, 10**9, 300)
        if process.wait() != 0:
            raise Wrong(f"{case.name} ended with {process.returncode}")
        self.seconds = time.monotonic() - began
        # Two undisturbed runs are the same, or nothing can be said of others.
        if wrong := compare(self.tree, tree(folder)):
            raise Wrong(f"{case.name}: two undisturbed runs differ: {dict(wrong)}")


def start(scene, case, folder):
    environment = {**scene.environment, **scene.variables(case, folder)}
    return subprocess.Popen(
        [scene.program, *case.words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill(scene, case, folder, undisturbed, moments):
    """Kills the command once; whether it was killed before it ended."""
    process = start(scene, case, folder)
    if moments.random() < 0.5:
        watched(process, folder, moments.randint(1, max(1, undisturbed.changes)), undisturbed.seconds * 3)
        time.sleep(moments.choice([0, 0, 0.001, 0.003]))
    else:
        time.sleep(moments.uniform(0, undisturbed.seconds))
    process.kill()
    return process.wait() < 0


def one(scene, case, undisturbed, moments, most):
    """A folder in which the command is killed once or more, and then runs to its end. The kills, and what was wrong."""
    folder, wrong, kills = scene.place(case), Counter(), 0
    wanted = min(most, moments.choice([1, 1, 1, 2, 3]))
    for _ in range(TRIES):
        if kill(scene, case, folder, undisturbed, moments):
            kills += 1
            half = torn(case, undisturbed.tree, tree(folder))
            wrong["half"] += len(half)
        else:
            # It was too late: the next one begins anew.
            folder = scene.place(case) if kills == 0 else folder
            wanted = max(kills, 1)
        if kills >= wanted:
            break
    else:
        raise Wrong(f"{case.name} ended {TRIES} times before it could be killed")
    try:
        said, found = scene.finish(case, folder)
    except Wrong as e:
        wrong["failed"] += 1
        return kills, wrong, str(e)
    wrong["words"] += said != undisturbed.said
    differs = compare(undisturbed.tree, found)
    extra = sorted(found.keys() - undisturbed.tree.keys())
    return kills, wrong + differs, f"{dict(+(wrong + differs))} in {folder} {extra[:5]}"


KINDS = {
    "failed": "could not go on",
    "lost": "lost",
    "twice": "twice",
    "other": "other bytes",
    "left": "files left behind",
    "half": "half-written under a final name",
    "words": "printed something else",
}


def run(scene, number, seed):
    """Kills so many times over all cases; what was wrong, in words."""
    moments = random.Random(seed)
    every = [case for case in CASES for _ in range(case.share)]
    moments.shuffle(every)
    undisturbed, counts, all_wrong, told = {}, Counter(), {}, []
    at = 0
    scene.hub.pace = 0.01
    while sum(counts.values()) < number:
        case = every[at % len(every)]
        at += 1
        if case.name not in undisturbed:
            undisturbed[case.name] = Undisturbed(scene, case)
        kills, wrong, words = one(scene, case, undisturbed[case.name], moments, number - sum(counts.values()))
        counts[case.name] += kills
        all_wrong.setdefault(case.name, Counter()).update(wrong)
        if +wrong:
            told.append(f"{case.name}: {words}")
    scene.hub.pace = 0.0
    for name, kills in sorted(counts.items()):
        wrong = ", ".join(f"{KINDS[kind]}: {count}" for kind, count in sorted(all_wrong[name].items()) if count)
        print(f"    {name}: killed {kills} times; {wrong or 'nothing lost, nothing twice, the same bytes, nothing left behind'}", flush=True)
    total = sum(all_wrong.values(), Counter())
    figures = ", ".join(f"{total[kind]} {KINDS[kind]}" for kind in KINDS)
    print(f"{sum(counts.values())} kills of {len(counts)} commands, seed {seed}: {figures}", flush=True)
    return told
