"""Commands of af1 in folders of their own, and what is the same and what is not between two such folders."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MODEL = ["--model", "planted-af1", "--style", "symbolic", "--operation", "A+B", "--operands", "0..=9"]
# The time of change of what commands read: `share` takes it as the time of the evaluation.
WRITTEN = 1_700_000_000

STUDY = """\
record = "study.jsonl"
page = "study.html"
models = ["planted-af1"]
[options]
style = "symbolic"
operation = "A+B"
operands = "0..=5"
[[experiment]]
run = "waiting --wait 0,3,5"
[[experiment]]
run = "run"
"""

GATE = """\
operands = "0..=5"
results = "0..=198"
[[claim]]
style = "symbolic"
operation = "A+B"
wait = 3
transfer = 2
faithful = 0.8
better_than = ["mean", "zero"]
"""


class Wrong(Exception):
    """Something is not as it must be."""


class Case(NamedTuple):
    """A command that is run in a folder of its own."""

    name: str
    words: list
    # Files that it reads, by their names there; each is copied.
    reads: list = []
    # What is said to it by variables.
    variables: dict = {}
    # A file that grows line by line: what a killed run leaves of it is a beginning. All others are whole or absent.
    record: str = ""
    # What files say until there is more to say.
    meanwhile: dict = {}
    # What is run there before.
    before: list = []
    # How often it is chosen, beside the others.
    share: int = 2


CASES = [
    Case("fetch", ["fetch", "--model", "planted-af1"], variables={"AF1_CACHE": "cache"}, share=3),
    Case(
        "fetch --force",
        ["fetch", "--model", "planted-af1", "--force"],
        variables={"AF1_CACHE": "cache"},
        before=["fetch", "--model", "planted-af1"],
    ),
    Case("hub", ["inspect", "--model", "owner/tiny", "--style", "symbolic"], variables={"HF_HOME": "home"}, share=3),
    Case("run", ["run", *MODEL, "--threads", "1", "--record", "run.jsonl"], record="run.jsonl"),
    Case(
        "waiting",
        ["waiting", *MODEL, "--threads", "1", "--record", "waiting.jsonl", "--answers", "answers.jsonl"],
        record="waiting.jsonl",
        share=4,
    ),
    Case("study", ["study", "study.toml", "--threads", "1"], reads=["study.toml"], record="study.jsonl", share=3),
    Case(
        "gate",
        ["gate", "--model", "planted-af1", "--config", "gate.toml", "--threads", "1", "--record", "gate.jsonl", "--junit", "gate.xml"],
        reads=["gate.toml"],
        record="gate.jsonl",
        # The answer of an earlier gate must not be taken for that of this one.
        meanwhile={"gate.xml": b"it was stopped before it had an answer"},
    ),
    Case("merge", ["merge", "run.jsonl", "waiting.jsonl", "--out", "whole.jsonl"], reads=["run.jsonl", "waiting.jsonl"]),
    Case("report", ["report", "waiting.jsonl", "--format", "html", "--out", "page.html"], reads=["waiting.jsonl"]),
    Case(
        "share",
        ["share", "waiting.jsonl", "--answers", "answers.jsonl", "--as", "every-eval-ever", "--model-id", "a/b", "--out", "shared"],
        reads=["waiting.jsonl", "answers.jsonl"],
        share=3,
    ),
    Case("export", ["export", "--model", "planted-af1", "--out", "graph"], share=3),
    Case("export --af1", ["export", *MODEL[:-1], "0..=4", "--out", "af1", "--af1", "3,2"]),
]

def is_temporary(path):
    """Whether a name says that what it names is not done yet."""
    return any(part.startswith(".af1-") or ".partial-" in part or part.endswith((".part", ".lock")) for part in Path(path).parts)


def content(path):
    """The bytes of a file. The cache's manifests say when each file was last changed, which is another time in every run."""
    data = path.read_bytes()
    if path.name == "manifest.json":
        manifest = json.loads(data)
        for file in manifest["files"].values():
            file.pop("modified")
        data = json.dumps(manifest).encode()
    return data


def tree(folder):
    """All files below a folder by their names. Locks are empty files that stay: the next process takes them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            found[str(path.relative_to(folder))] = content(path)
    return found


def compare(expected, found):
    """What is lost, twice, otherwise or left over in the files of a folder. Lines of records are counted one by one."""
    wrong = Counter()
    for name, due in expected.items():
        there = found.get(name)
        if there is None:
            wrong["lost"] += 1
        elif there != due and name.endswith(".jsonl"):
            lines, of = Counter(there.splitlines()), Counter(due.splitlines())
            wrong["lost"] += sum((of - lines).values())
            wrong["twice"] += sum(count for line, count in (lines - of).items() if line in of)
            # Lines of no kind that is due, another order, or another end of the file.
            wrong["other"] += sum(1 for line in lines if line not in of) or int(of == lines)
        elif there != due:
            wrong["other"] += 1
    wrong["left"] += len(found.keys() - expected.keys())
    return +wrong


def torn(case, expected, found):
    """The files that are neither whole nor known as temporary right after a kill: of a record a beginning is allowed."""
    wrong = []
    for name, there in found.items():
        due = expected.get(name)
        if is_temporary(name) or there == due:
            continue
        if name == case.record and due is not None and due.startswith(there):
            continue
        if name in case.meanwhile and case.meanwhile[name] in there:
            continue
        wrong.append(name)
    return wrong


class Scene:
    """Where commands are run: inputs that are made once, an environment, and what undisturbed commands leave."""

    def __init__(self, program, folder, hub, other=None):
        self.folder, self.hub, self.other = folder, hub, other
        # One that every user may start, also where the project's own folder is private.
        self.program = folder / "bin/af1"
        self.program.parent.mkdir()
        shutil.copy2(program, self.program)
        folder.chmod(0o755)
        self.program.chmod(0o755)
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        self.count = 0
        drop = ("AF1_CACHE", "HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "COLUMNS", "GITHUB_STEP_SUMMARY")
        cache = os.environ.get("AF1_CACHE")
        self.environment = {name: value for name, value in os.environ.items() if name not in drop}
        self.environment["HF_ENDPOINT"] = hub.address
        if cache:
            self.environment["AF1_CACHE"] = str(Path(cache).resolve())
        self.run(["fetch", "--model", "planted-af1"], folder)
        self.environment["ORT_DYLIB_PATH"] = str(self.library())
        self.make_inputs()

    def library(self):
        """The runtime's library in the user's cache: an empty cache need not fetch it."""
        cache = json.loads(self.run(["cache", "--format", "json"], self.folder).stdout)
        entries = [entry["name"] for entry in cache["entries"] if entry["name"].startswith("onnxruntime-") and not entry["unused"]]
        plain = next(name for name in entries if name[len("onnxruntime-")].isdigit())
        found = [file for file in sorted((Path(cache["folder"]) / plain).iterdir()) if "libonnxruntime" in file.name and "providers" not in file.name]
        return found[0]

    def make_inputs(self):
        (self.inputs / "study.toml").write_text(STUDY, encoding="utf-8")
        (self.inputs / "gate.toml").write_text(GATE, encoding="utf-8")
        for case in CASES:
            if case.name in ("run", "waiting"):
                self.run(case.words, self.inputs)
        for file in self.inputs.iterdir():
            os.utime(file, (WRITTEN, WRITTEN))

    def run(self, words, folder, code=0, **variables):
        """Runs a command to its end; it must end with the code."""
        done = subprocess.run(
            [self.program, *words], cwd=folder, env={**self.environment, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        if code is not None and done.returncode != code:
            raise Wrong(f"af1 {' '.join(map(str, words))} ended with {done.returncode}, not {code}:\n{done.stderr}")
        return done

    def place(self, case):
        """A new folder with what a case reads."""
        self.count += 1
        folder = self.folder / f"{self.count}"
        folder.mkdir()
        for name in case.reads:
            shutil.copy2(self.inputs / name, folder / name)
        if case.before:
            self.run(case.before, folder, **self.variables(case, folder))
        return folder

    def variables(self, case, folder):
        """The variables of a case; those that name folders name them below its own."""
        return {name: str(folder / value) for name, value in case.variables.items()}

    def finish(self, case, folder):
        """Runs the command to its end; what it prints, and the files of the folder."""
        done = self.run(case.words, folder, **self.variables(case, folder))
        return done.stdout.replace(str(folder), "FOLDER"), tree(folder)
