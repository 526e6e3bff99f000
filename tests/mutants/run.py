"""Shows that the tests notice mistakes: cargo-mutants changes the program, and a test must fail.

Usage: python3 tests/mutants/run.py [--shard K/N] [--file GLOB]... [--again] [--test NAME]... [ROOM...]

Rooms are those of ROOMS, all by default; --file takes some of a room's files alone, --shard the K-th of N equal shares of a room's
mutants (0/N to N-1/N), each of which takes every N-th. --again takes those alone that survived when their room was tried last. --test
takes, beside the unit tests, those integration tests alone whose names begin so. A mutant that no test of its room notices is an error
unless survivors.toml says why it may survive; so is one of survivors.toml that a test notices.

This takes hours: CI takes a thirtieth of the statistics, in one of three commits. Where a room can be built by itself, its mutants are
built one by one, in two seconds each. Those of the others are built at once into one program (see at_once.py), and what cannot be written
so takes half a minute each. The mutants are made in copies of the sources under target/mutants. It takes cargo-mutants (`cargo install
--locked cargo-mutants@27.1.0`) and the Python packages tree-sitter==0.26.1 and tree-sitter-rust==0.24.2.
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

import at_once
import sources
import switched
from sources import ROOT, WORK, Part

VERSION = "27.1.0"


class Stage(NamedTuple):
    """Tests, and the crate that they are run in: a part of the program, or the whole of it."""

    crate: Part | None
    tests: list[str]


class Room(NamedTuple):
    """A folder, and the tests that must notice what is wrong in it: those of small crates first, then of the whole program for what is
    left."""

    folder: str
    stages: list[Stage]
    tests: list[str]


STATS = Part(["stats"], [], ["statistics"], ["reference/stats.json"])
INTERVENE = Part(["intervene"], ["error", "interrupt", "file", "suggest", "prompt"], [], ["styles"])
WHOLE = None

# Beside all unit tests those of the integration tests that hold what is measured to other implementations, to what was planted, and to what
# was said before.
TESTS = [
    *["alternatives::", "asked::", "attacked::", "bad_asking::", "bad_input::", "choices::", "choosing::", "compiled::", "devices::"],
    *["digits::", "drilled::", "experiments::", "expressions::one_operand", "foreign::", "kept::", "lens::", "matrix::", "patch::"],
    *["peek::", "planted::", "preflight::", "segments::", "stability::", "steps::", "whole::", "windows::"],
]
# Those that are worth half a minute of building for a single mutant.
QUICK = ["alternatives::logits_equal_numpys", "experiments::interventions", "planted::leaving_one_out", "planted::means_carry"]
QUICK += ["planted::what_was_planted_is_found", "alternatives::the_planted_truth", "preflight::"]
ROOMS = {
    "stats": Room("src/stats", [Stage(STATS, ["stats::", "statistics::reference"]), Stage(STATS, ["stats::", "statistics::"])], []),
    "intervene": Room("src/intervene", [Stage(INTERVENE, ["intervene::"])], TESTS),
    "measure": Room("src/measure", [], TESTS),
    "experiment": Room("src/experiment", [], TESTS),
}

# Types that have no such constructor: these do not compile, and only take time.
NEVER_COMPILE = r"(Array(View)?(\dD?|D)?|Range)::(new|from|from_iter)\("

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
    done = subprocess.run(command, cwd=tree, env=of_copies(), check=False)
    # 0: all were caught, 2: some were missed, 3: some did not end.
    if done.returncode not in (0, 2, 3):
        sys.exit(f"cargo mutants ended with {done.returncode}: {' '.join(command)}")
    return {kind: (out / "mutants.out" / f"{kind}.txt").read_text(encoding="utf-8").splitlines() for kind in KINDS}


def of_copies():
    """The environment in which copies are built, in a folder of their own: cargo takes a copy for the project itself, and would leave a
    mutant as the project's program."""
    return dict(os.environ, CARGO_TARGET_DIR=str(WORK / "build"), CARGO_PROFILE_DEV_DEBUG="0")


def bare(mutant):
    """A mutant's name without its place, which moves as the sources are edited."""
    return re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", mutant)


def without_places(mutants):
    return Counter(map(bare, mutants))


def try_room(name, room, options, known):
    """The mutants of a room that survive: with the first tests, and of these with the next ones, unless it is known of all."""
    shutil.rmtree(WORK / name, ignore_errors=True)
    folder = [*options] if options else ["--file", f"{room.folder}/**/*.rs"]
    left = None
    for number, stage in enumerate(room.stages, 1):
        if left is not None and not without_places(left) - known:
            break
        chosen = folder if left is None else named(left)
        lists = mutate(stage, WORK / name / str(number), chosen)
        tried = sum(len(lists[kind]) for kind in (CAUGHT, MISSED, TIMEOUT))
        left = lists[MISSED]
        print(f"{name}: {tried} mutants, {len(lists[UNVIABLE])} others do not compile; {len(left)} are left", flush=True)
    if room.tests and (left is None or without_places(left) - known):
        left = try_at_once(name, room, folder, left, known)
    print(f"{name}: {len(left)} survive", flush=True)
    write_survived(name, left)
    return without_places(left)


def named(mutants):
    """Options that choose mutants by their names, and nothing else: others would choose more, or some of these once again."""
    mutants = list(mutants)
    files = [word for file in sorted({mutant.split(":")[0] for mutant in mutants}) for word in ("--file", file)]
    return files + [word for mutant in mutants for word in ("--re", f"^{re.escape(mutant)}$")]


def survived(name):
    """The file that says what survived when a room was tried last."""
    return WORK / f"{name}-survived.txt"


def write_survived(name, mutants):
    survived(name).write_text("".join(f"{mutant}\n" for mutant in sorted(map(bare, mutants))), encoding="utf-8")


def again(name):
    """Options that choose what survived in a room."""
    if not survived(name).exists():
        sys.exit(f"{survived(name)} is not there: run this without --again first, which writes what survives in {name}")
    names = set(survived(name).read_text(encoding="utf-8").splitlines())
    if not names:
        sys.exit(f"nothing survived in {name} when it was tried last")
    chosen = []
    for file, what in (mutant.split(": ", 1) for mutant in sorted(names)):
        chosen += ["--re", rf"^{re.escape(file)}:\d+:\d+: {re.escape(what)}$"]
    return chosen


def try_at_once(name, room, folder, left, known):
    """The names of a room's mutants that survive its tests of the whole program: of those that are left, or of all."""
    tree = WORK / "trees" / "at-once"
    sources.copy_whole(tree)
    sources.name_modules(tree)
    chosen = folder if left is None else named(left)
    mutants = at_once.listed(tree, [*chosen, "--exclude-re", NEVER_COMPILE])
    environment = of_copies()
    mutants, alone = at_once.compiled(tree, mutants, environment)
    program = switched.Switched(tree, environment, room.tests)
    # Most are noticed in seconds; what is known to survive is not asked for longer.
    missed = program.missed(mutants, 30)
    for seconds in (120, 600):
        unknown = without_places(mutant.name for mutant in missed) - known
        asked = [mutant for mutant in missed if unknown[bare(mutant.name)]]
        noticed = set(asked) - set(program.missed(asked, seconds))
        missed = [mutant for mutant in missed if mutant not in noticed]
        write_survived(name, [mutant.name for mutant in missed + alone])
    left = [mutant.name for mutant in missed]
    if alone:
        lists = mutate(Stage(WHOLE, [f"{name}::", *QUICK]), WORK / name / "alone", named(mutant.name for mutant in alone))
        left += lists[MISSED]
        print(f"{name}: of the {len(alone)} others {len(lists[UNVIABLE])} do not compile, {len(lists[MISSED])} are left", flush=True)
    return left


def survivors(rooms):
    """What survivors.toml says of these rooms."""
    with open(ROOT / "tests/mutants/survivors.toml", "rb") as file:
        entries = tomllib.load(file).get("survivor", [])
    folders = tuple(f"{room.folder}/" for room in rooms)
    known = Counter()
    for entry in entries:
        for mutant in entry["mutants"]:
            if mutant.startswith(folders):
                known[mutant] += entry.get("times", 1)
    return known


def main():
    parser = argparse.ArgumentParser(description="Shows that the tests notice mistakes.")
    parser.add_argument("--file", action="append", default=[], help="of the rooms' files those of this pattern")
    parser.add_argument("--shard", help="every N-th mutant of a room from the K-th on, K/N")
    parser.add_argument("--again", action="store_true", help="what survived when the room was tried last")
    parser.add_argument("--test", action="append", help="how the integration tests that run begin, those of the room by default")
    parser.add_argument("room", nargs="*", choices=[*ROOMS, []], help="rooms, all by default")
    arguments = parser.parse_args()
    version = subprocess.run(["cargo", "mutants", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if VERSION not in version:
        sys.exit(f"cargo-mutants {VERSION} is needed, found {version.strip() or 'none'}: cargo install --locked cargo-mutants@{VERSION}")
    chosen = {name: ROOMS[name] for name in arguments.room or ROOMS}
    shard = ["--shard", arguments.shard, "--sharding", "round-robin"] if arguments.shard else []
    known, missed = survivors(chosen.values()), Counter()
    for name, room in chosen.items():
        room = room._replace(tests=arguments.test or room.tests)
        files = arguments.file or [f"{room.folder}/**/*.rs"]
        only = again(name) if arguments.again else []
        missed += try_room(name, room, [*shard, *only, *(word for file in files for word in ("--file", file))], known)
    new = missed - known
    for mutant, times in sorted(new.items()):
        print(f"MISSED: {mutant} ({times} times)")
    gone = Counter() if arguments.file or arguments.shard or arguments.again or arguments.test else known - missed
    for mutant, times in sorted(gone.items()):
        print(f"survivors.toml says that this survives, and it does not: {mutant} ({times} times)")
    if new or gone:
        sys.exit(f"{new.total()} mutants that no test notices, {gone.total()} that are said to survive and do not")
    print(f"no mutant survives but the {missed.total()} of which survivors.toml says why")


if __name__ == "__main__":
    main()
