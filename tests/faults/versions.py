"""Two versions of the program with one cache at once: what they share has the same bytes, and what differs has names of its own."""

import random
import subprocess
import time

from scene import CASES, Wrong, compare, tree

# What is fetched, made, converted and measured with what lies in a cache.
SHARING = ["fetch", "hub", "run", "waiting", "gate", "study", "export"]
ROUNDS = 3


class Both:
    """Two programs, each in a folder of its own, and a cache and a home that both have."""

    def __init__(self, scene, case):
        self.scene, self.case, self.folder = scene, case, scene.place(case._replace(reads=[], before=[]))
        self.shared = self.folder / "shared"
        self.environment = {**scene.environment, "AF1_CACHE": str(self.shared / "cache"), "HF_HOME": str(self.shared / "home")}
        self.places = {}
        for name in ("this", "other"):
            self.places[name] = self.folder / name
            self.places[name].mkdir(parents=True)
            for file in case.reads:
                (self.places[name] / file).write_bytes((scene.inputs / file).read_bytes())

    def begin(self, name):
        program = self.scene.program if name == "this" else self.scene.other
        return subprocess.Popen(
            [program, *self.case.words], cwd=self.places[name], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, name, process):
        said = process.communicate(timeout=300)[1]
        if process.returncode:
            raise Wrong(f"{self.case.name}, {name} version beside another: ended with {process.returncode}:\n{said}")

    def alone(self, name):
        """What a version leaves that has the cache for itself."""
        self.end(name, self.begin(name))
        return tree(self.places[name]), tree(self.shared)


def two_versions(scene):
    """Both begin at once, or one a little later, and run once more with what is there then."""
    if scene.other is None:
        return "not run: --other names no other version of the program"
    moments, same, own = random.Random(22), 0, 0
    for case in (case for case in CASES if case.name in SHARING):
        due, shared = {}, {}
        for name in ("this", "other"):
            due[name], shared[name] = Both(scene, case).alone(name)
        common = shared["this"].keys() & shared["other"].keys()
        differing = [name for name in common if shared["this"][name] != shared["other"][name]]
        if differing:
            raise Wrong(f"{case.name}: two versions have the same names in the cache for other bytes: {differing}")
        same, own = same + len(common), own + len(shared["this"].keys() ^ shared["other"].keys())
        for _ in range(ROUNDS):
            both = Both(scene, case)
            # Also one version upon what the other has left.
            for late in (moments.uniform(0, 0.3), 0):
                running = {}
                for name in moments.sample(["this", "other"], 2):
                    running[name] = both.begin(name)
                    time.sleep(late)
                for name, process in running.items():
                    both.end(name, process)
            wrong = {name: compare(due[name], tree(both.places[name])) for name in running}
            wrong["shared"] = compare({**shared["this"], **shared["other"]}, tree(both.shared))
            # What one version finds that the other has put there under its own name, it need not put there again.
            del wrong["shared"]["lost"]
            if any(wrong.values()):
                raise Wrong(f"{case.name} by two versions at once: { {name: dict(what) for name, what in wrong.items()} }")
    return f"{len(SHARING)} commands, {ROUNDS} times twice by both at once: the same bytes; of what they cache {same} files are the same, {own} are of one version"
