"""Shows that the tests notice mistakes: cargo-mutants changes the program, and a test must fail.

Usage: python3 tests/mutants/run.py [--shard K/N] [--file GLOB]... [ROOM...]

Rooms are those of ROOMS, all by default; --file takes some of a room's files alone, --shard the K-th of N equal shares of a room's
mutants (0/N to N-1/N), each of which takes every N-th. A mutant that no test of its room notices is an error unless survivors.toml
says why it may survive; so is one of survivors.toml that a test notices.

A mutant of `stats` takes two seconds, one of `measure` half a minute, so this is no part of CI, which runs mistakes.py. The mutants are
made in copies of the sources under target/mutants, where the lists of what was caught and missed are left. It takes cargo-mutants
(`cargo install --locked cargo-mutants@27.1.0`).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from typing import NamedTuple

import sources
from sources import ROOT, WORK, Part

VERSION = "27.1.0"


class Stage(NamedTuple):
    """Tests, and the crate that they are run in: a part of the program, or the whole of it."""

    crate: Part | None
    tests: list[str]


class Room(NamedTuple):
    """A folder, and the tests that must notice what is wrong in it: those that take seconds first, the others for what is left."""

    folder: str
    stages: list[Stage]


STATS = Part(["stats"], [], ["statistics"], ["reference/stats.json"])
INTERVENE = Part(["intervene"], ["error", "interrupt", "file", "prompt"], [], ["styles"])
WHOLE = None

# What replaces and restricts is tested against independent implementations, and against what was planted.
COMPUTED = ["alternatives::logits_equal_numpys", "experiments::interventions", "planted::leaving_one_out", "planted::means_carry"]
FOUND = ["planted::what_was_planted_is_found", "alternatives::the_planted_truth", "alternatives::draw", "preflight::", "compiled::"]
SEEN = ["experiments::", "choices::", "choosing::", "asked::", "matrix::"]
ROOMS = {
    "stats": Room("src/stats", [Stage(STATS, ["stats::", "statistics::reference"]), Stage(STATS, ["stats::", "statistics::"])]),
    "intervene": Room(
        "src/intervene",
        [Stage(INTERVENE, ["intervene::"]), Stage(WHOLE, ["intervene::", *COMPUTED]), Stage(WHOLE, [*COMPUTED, *FOUND])],
    ),
    "measure": Room("src/measure", [Stage(WHOLE, ["measure::", *COMPUTED]), Stage(WHOLE, [*COMPUTED, *FOUND, *SEEN])]),
    "experiment": Room("src/experiment", [Stage(WHOLE, ["experiment::", *COMPUTED]), Stage(WHOLE, [*COMPUTED, *FOUND, *SEEN])]),
}

# Types that have no such constructor: these do not compile, and only take time.
NEVER_COMPILE = r"Array(View)?\dD?::(new|from|from_iter)\(|Array(View)?::(new|from|from_iter)\("

# Of a run of cargo-mutants, what it lists.
CAUGHT, MISSED, TIMEOUT, UNVIABLE = KINDS = ("caught", "missed", "timeout", "unviable")


def tree_of(crate):
    """A fresh copy of a crate."""
    name = "-".join(crate.rooms) if crate else "whole"
    tree = WORK / "trees" / name
    if crate:
        sources.copy_part(crate, tree)
    else:
        sources.copy_whole(tree)
    sources.name_modules(tree)
    return tree


def mutate(stage, out, options):
    """Runs cargo-mutants with a stage's tests; the mutants by what became of them, each by its place and name."""
    tree = tree_of(stage.crate)
    out.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "mutants", "--in-place", "--output", str(out), "--exclude-re", NEVER_COMPILE, "--colors", "never"]
    # A mutant that never ends is noticed, too.
    command += ["--minimum-test-timeout", "30", "--build-timeout", "1800", *options]
    targets = ["--lib"] if stage.crate and not stage.crate.suite else ["--lib", "--test", "suite"]
    # A part's lock file says more than it needs, and is cut.
    locked = ["--offline"] if stage.crate else ["--locked"]
    # Only the bootstraps are worth the time that optimising takes.
    quick = [] if stage.crate == STATS else ["--config", "profile.dev.package.af1.opt-level=0"]
    command += ["--", *quick, *locked, *targets, "--", *stage.tests]
    # Of its own: cargo takes the copy for the project itself, and would leave a mutant as the project's program.
    environment = dict(os.environ, CARGO_TARGET_DIR=str(WORK / "build"), CARGO_PROFILE_DEV_DEBUG="0")
    done = subprocess.run(command, cwd=tree, env=environment, check=False)
    # 0: all were caught, 2: some were missed, 3: some did not end.
    if done.returncode not in (0, 2, 3):
        sys.exit(f"cargo mutants ended with {done.returncode}: {' '.join(command)}")
    return {kind: (out / "mutants.out" / f"{kind}.txt").read_text(encoding="utf-8").splitlines() for kind in KINDS}


def without_places(mutants):
    return Counter(re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", mutant) for mutant in mutants)


def try_room(name, room, options, known):
    """The mutants of a room that survive: with the first tests, and of these with the next ones, unless it is known of all."""
    shutil.rmtree(WORK / name, ignore_errors=True)
    lists = mutate(room.stages[0], WORK / name / "1", options)
    tried = sum(len(lists[kind]) for kind in (CAUGHT, MISSED, TIMEOUT))
    timeouts = len(lists[TIMEOUT])
    print(f"{name}: {tried} mutants, {len(lists[UNVIABLE])} others do not compile; {len(lists[MISSED])} are left", flush=True)
    for number, stage in enumerate(room.stages[1:], 2):
        if not without_places(lists[MISSED]) - known:
            break
        only = [word for mutant in lists[MISSED] for word in ("--re", f"^{re.escape(mutant)}$")]
        lists = mutate(stage, WORK / name / str(number), ["--file", f"{room.folder}/**/*.rs", *only])
        timeouts += len(lists[TIMEOUT])
        print(f"{name}: {len(lists[MISSED])} are left of {tried}", flush=True)
    print(f"{name}: {tried} tried, {len(lists[MISSED])} survive, {timeouts} do not end", flush=True)
    return without_places(lists[MISSED])


def survivors(rooms):
    """What survivors.toml says of these rooms."""
    with open(ROOT / "tests/mutants/survivors.toml", "rb") as file:
        entries = tomllib.load(file).get("survivor", [])
    folders = tuple(f"{room.folder}/" for room in rooms)
    return Counter({entry["mutant"]: entry.get("times", 1) for entry in entries if entry["mutant"].startswith(folders)})


def main():
    parser = argparse.ArgumentParser(description="Shows that the tests notice mistakes.")
    parser.add_argument("--file", action="append", default=[], help="of the rooms' files those of this pattern")
    parser.add_argument("--shard", help="every N-th mutant of a room from the K-th on, K/N")
    parser.add_argument("room", nargs="*", choices=[*ROOMS, []], help="rooms, all by default")
    arguments = parser.parse_args()
    version = subprocess.run(["cargo", "mutants", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if VERSION not in version:
        sys.exit(f"cargo-mutants {VERSION} is needed, found {version.strip() or 'none'}: cargo install --locked cargo-mutants@{VERSION}")
    chosen = {name: ROOMS[name] for name in arguments.room or ROOMS}
    shard = ["--shard", arguments.shard, "--sharding", "round-robin"] if arguments.shard else []
    known, missed = survivors(chosen.values()), Counter()
    for name, room in chosen.items():
        files = arguments.file or [f"{room.folder}/**/*.rs"]
        missed += try_room(name, room, [*shard, *(word for file in files for word in ("--file", file))], known)
    new = missed - known
    for mutant, times in sorted(new.items()):
        print(f"MISSED: {mutant} ({times} times)")
    gone = Counter() if arguments.file or arguments.shard else known - missed
    for mutant, times in sorted(gone.items()):
        print(f"survivors.toml says that this survives, and it does not: {mutant} ({times} times)")
    if new or gone:
        sys.exit(f"{new.total()} mutants that no test notices, {gone.total()} that are said to survive and do not")
    print(f"no mutant survives but the {missed.total()} of which survivors.toml says why")


if __name__ == "__main__":
    main()
