"""Runs the tests of a program that has all mutants in it, each mutant with the tests that come by its place."""

import json
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

# A test that takes longer finds little that others do not, and is left out.
LONGEST_TEST = 90
# A mutant that runs much longer than the program does never ends, and one that takes this much memory is stopped.
PATIENCE = lambda seconds: 20 + 10 * seconds
MEMORY = 24 << 30


class Test(NamedTuple):
    """A test, how long it takes, and the numbers of the mutants whose places it comes by."""

    program: str
    name: str
    seconds: float
    reached: frozenset[int]


def built(tree, environment):
    """The programs of the tests."""
    command = ["cargo", "test", "--no-run", "--locked", "--lib", "--test", "suite", "--message-format", "json"]
    done = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [of["executable"] for of in messages if of.get("executable") and of["profile"]["test"]]


class Switched:
    """The programs of a tree that mutants were written into, and their tests."""

    def __init__(self, tree, environment, wanted):
        self.tree = tree
        # No snapshot is written where one differs. The program says how it is called, which Cargo decides.
        self.environment = environment | {"INSTA_UPDATE": "no", "CI": "1", "CARGO_MANIFEST_DIR": str(tree), "CARGO": "cargo"}
        self.programs = built(tree, environment)
        self.kills = Counter()
        self.lock = threading.Lock()
        names = [(program, name) for program in self.programs for name in self.names(program, wanted)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tests = list(pool.map(lambda of: self.measured(*of), names))
        self.tests = sorted(filter(None, tests), key=lambda test: test.seconds)
        print(f"{len(self.tests)} of {len(names)} tests come by a mutant", flush=True)

    def names(self, program, wanted):
        """Unit tests, and those of the integration tests whose names begin as `wanted` says."""
        listed = subprocess.run([program, "--list"], cwd=self.tree, env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        names = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
        is_suite = Path(program).name.startswith("suite-")
        return [name for name in names if not is_suite or name.startswith(tuple(wanted))]

    def run(self, program, names, more, patience):
        """Runs tests of a program one after the other: the status and the output, or no status if they do not end."""
        command = [program, "--exact", *names, "--test-threads", "1"]
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with subprocess.Popen(
            command,
            cwd=self.tree,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=limit,
            start_new_session=True,
        ) as running:
            try:
                output, _ = running.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                # With the programs that the test has started.
                os.killpg(running.pid, signal.SIGKILL)
                return None, ""
        return running.returncode, output.decode(errors="replace")

    def measured(self, program, name):
        """A test with what it reaches; none if it reaches nothing, or takes too long."""
        with tempfile.TemporaryDirectory() as folder:
            seen = Path(folder) / "seen"
            start = time.monotonic()
            status, _ = self.run(program, [name], {"AF1_MUTANTS_SEEN": str(seen)}, LONGEST_TEST)
            seconds = time.monotonic() - start
            if status != 0:
                print(f"{name} is left out: " + ("it takes too long" if status is None else "it fails without a mutant"), flush=True)
                return None
            reached = frozenset(map(int, seen.read_text(encoding="utf-8").split())) if seen.exists() else frozenset()
        return Test(program, name, seconds, reached) if reached else None

    def bundles(self, tests):
        """Tests in the order in which they run: those that noticed most, then the quickest ones, ever more at once."""
        worth = lambda test: self.kills[test.name] / (test.seconds + 0.2)
        first = sorted((test for test in tests if self.kills[test.name] and test.seconds < 6), key=worth)[-3:]
        yield from ([test] for test in reversed(first))
        bundle, size = [], 2.0
        for test in (test for test in tests if test not in first):
            if bundle and (bundle[0].program != test.program or sum(of.seconds for of in bundle) + test.seconds > size):
                yield bundle
                bundle, size = [], min(2 * size, 30)
            bundle.append(test)
        if bundle:
            yield bundle

    def is_noticed(self, mutant, budget):
        """Whether a test fails with a mutant, or does not end, of the quickest ones that take so many seconds together."""
        tests, spent = [], 0.0
        for test in self.tests:
            if mutant.number in test.reached and spent + test.seconds <= budget:
                tests.append(test)
                spent += test.seconds
        for bundle in self.bundles(tests):
            patience = PATIENCE(sum(test.seconds for test in bundle))
            status, output = self.run(bundle[0].program, [test.name for test in bundle], {"AF1_MUTANT": str(mutant.number)}, patience)
            if status != 0:
                failed = [line.split()[1] for line in output.splitlines() if line.startswith("test ") and line.endswith("FAILED")]
                with self.lock:
                    self.kills.update(failed)
                return True
        return False

    def missed(self, mutants, budget):
        """The mutants that no test notices."""
        start = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            noticed = list(pool.map(lambda mutant: self.is_noticed(mutant, budget), mutants))
        missed = [mutant for mutant, noticed in zip(mutants, noticed, strict=True) if not noticed]
        minutes = (time.monotonic() - start) / 60
        print(f"{len(missed)} of {len(mutants)} are left after {budget} s each at most, {minutes:.0f} min in all", flush=True)
        return missed
