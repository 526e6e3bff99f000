"""Shows that the tests notice mistakes: cargo-mutants changes the program, and a test must fail.

Usage: python3 tests/mutants/run.py [--sample] [--file GLOB]... [ROOM...]

Rooms are those of ROOMS, all by default; --file takes some of a room's files alone. A mutant that no test of its room notices is
an error unless survivors.toml says why it may survive; so is one of survivors.toml that a test notices. --sample tries the mutants
of SAMPLE alone, which are the mistakes that matter: the whole takes hours.

The mutants are made in a copy of the sources under target/mutants, where the lists of what was caught and missed are left. It takes
cargo-mutants (`cargo install --locked cargo-mutants@27.1.0`).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutants"
TREE = WORK / "tree"
SOURCES = ["src", "tests", "benches", "fixtures", "onnx", ".cargo", "Cargo.toml", "Cargo.lock", "README.md", "CONTRIBUTING.md"]
VERSION = "27.1.0"


class Room(NamedTuple):
    """Files, and the tests that must notice what is wrong in them: those that take seconds first, the others for what is left."""

    files: list[str]
    quick: list[str]
    slow: list[str]


# What follows from numbers alone is tested by `statistics`, what replaces and restricts against independent implementations and
# against what was planted.
COMPUTED = ["alternatives::logits_equal_numpys", "experiments::interventions", "planted::leaving_one_out", "planted::means_carry"]
FOUND = ["planted::what_was_planted_is_found", "alternatives::the_planted_truth", "alternatives::draw", "preflight::", "compiled::"]
ROOMS = {
    "stats": Room(
        ["src/stats/*.rs"],
        ["stats::", "statistics::intervals_equal", "statistics::tests_equal", "statistics::sample_sizes", "statistics::bootstraps_equal",
         "statistics::clusters_equal", "statistics::what_a_claim"],
        ["stats::", "statistics::", "choosing::"],
    ),
    "intervene": Room(["src/intervene/**/*.rs"], ["intervene::", *COMPUTED], [*COMPUTED, *FOUND]),
    "measure": Room(
        ["src/measure/**/*.rs", "src/experiment/**/*.rs"],
        ["measure::", "experiment::", *COMPUTED],
        [*COMPUTED, *FOUND, "experiments::", "choices::", "choosing::", "asked::", "matrix::"],
    ),
}

# Of a room, mutants by their names: the mistakes that would change what is claimed.
SAMPLE = {
    # No correction for many tests; a comparison that is always significant.
    "stats": [r"replace holm -> .* with vec!\[\]", r"replace mcnemar_greater -> f64 with 0\.0"],
    "intervene": [
        # A mask off by one; who waits looks at the others; the sink is forgotten.
        r"replace \+ with - in Mask::allows",
        r"replace Masking::alone -> bool with true",
        r"replace Masking::peek -> bool with false",
        # An estimator that includes the prompt itself, and one that forgets what it has seen.
        r"replace - with \+ in Moments::mean_without",
        r"replace Moments::merge with \(\)",
        # Means of one token are those of another.
        r"replace Source.*::token -> u32 with 1",
    ],
}

# Types that have no such constructor: these do not compile, and only take time.
NEVER_COMPILE = r"Array(View)?\dD?::(new|from|from_iter)\(|Array(View)?::(new|from|from_iter)\("


def copy_sources():
    """What has not changed keeps its time, so that cargo builds only what a mutant touches."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for source in SOURCES:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, TREE / source, ignore=shutil.ignore_patterns("target"))
        else:
            shutil.copy2(ROOT / source, TREE / source)


def mutate(name, files, tests, *options):
    """Runs cargo-mutants on files, with tests; the mutants that no test noticed."""
    out = WORK / name
    command = ["cargo", "mutants", "--in-place", "--line-col=false", "--output", str(out), "--exclude-re", NEVER_COMPILE]
    # A mutant that never ends is noticed, too.
    command += ["--minimum-test-timeout", "120", "--build-timeout", "1800", "--colors", "never", *options]
    for file in files:
        command += ["--file", file]
    command += ["--", "--locked", "--lib", "--test", "suite", "--", *tests]
    # Of its own: cargo takes the copy for the project itself, and would leave a mutant as the project's program.
    environment = dict(os.environ, CARGO_TARGET_DIR=str(WORK / "build"))
    done = subprocess.run(command, cwd=TREE, env=environment, check=False)
    # 0: all were caught, 2: some were missed, 3: some did not end.
    if done.returncode not in (0, 2, 3):
        sys.exit(f"cargo mutants ended with {done.returncode}: {' '.join(command)}")
    text = (out / "mutants.out" / "missed.txt").read_text(encoding="utf-8")
    return [re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", line) for line in text.splitlines()]


def try_room(name, room, files, only):
    """The mutants of a room that survive: with the quick tests, and of these with all of its tests."""
    options = [word for regex in only for word in ("--re", regex)]
    if only:
        # cargo-mutants leaves fields out whatever the names are; and a sample comes after the tests, which have passed.
        options += ["--exclude", "evidence.rs", "--exclude", "plan.rs", "--baseline", "skip", "--timeout", "300"]
    shutil.rmtree(WORK / name, ignore_errors=True)
    missed = mutate(name, files, room.quick, *options)
    out = WORK / name / "mutants.out"
    tried = [line for kind in ("caught", "missed", "timeout") for line in (out / f"{kind}.txt").read_text(encoding="utf-8").splitlines()]
    for regex in only:
        if not any(re.search(regex, mutant) for mutant in tried):
            sys.exit(f"no mutant of {name} is called {regex}: what it changed has another name now")
    if missed:
        # What was caught is not tried again.
        again = options if only else ["--baseline", "skip", "--timeout", "900"]
        missed = mutate(name, files, room.slow, "--iterate", *again)
    return missed


def main():
    parser = argparse.ArgumentParser(description="Shows that the tests notice mistakes.")
    parser.add_argument("--sample", action="store_true", help="the mutants of SAMPLE alone")
    parser.add_argument("--file", action="append", default=[], help="of the rooms' files those of this pattern")
    parser.add_argument("room", nargs="*", choices=[*ROOMS, []], help="rooms, all by default")
    arguments = parser.parse_args()
    version = subprocess.run(["cargo", "mutants", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    if VERSION not in version:
        sys.exit(f"cargo-mutants {VERSION} is needed, found {version.strip() or 'none'}: cargo install --locked cargo-mutants@{VERSION}")
    with open(ROOT / "tests/mutants/survivors.toml", "rb") as file:
        known = Counter(entry["mutant"] for entry in tomllib.load(file).get("survivor", []) for _ in range(entry.get("times", 1)))
    copy_sources()
    missed = Counter()
    for name in arguments.room or (SAMPLE if arguments.sample else ROOMS):
        room = ROOMS[name]
        only = SAMPLE.get(name, []) if arguments.sample else []
        missed.update(try_room(name, room, arguments.file or room.files, only))
    new = missed - known
    for mutant, times in sorted(new.items()):
        print(f"MISSED: {mutant} ({times} times)")
    whole = not (arguments.sample or arguments.file or arguments.room)
    gone = known - missed if whole else Counter()
    for mutant, times in sorted(gone.items()):
        print(f"survivors.toml says that this survives, and it does not: {mutant} ({times} times)")
    if new or gone:
        sys.exit(f"{new.total()} mutants that no test notices, {gone.total()} that are said to survive and do not")
    print(f"no mutant survives but the {missed.total()} of which survivors.toml says why")


if __name__ == "__main__":
    main()
