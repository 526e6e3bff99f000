"""Installs the wheel into empty environments and runs what it brings.

Usage: python3 run.py WHEEL [--models CACHE] [--uv UV]

Nothing of Rust is on the PATH, and the cache has no runtime: the library of the package `onnxruntime`, which the wheel asks for, must be
found, and none be fetched. With `--models`, a cache that has the models, the main table of the smaller one is printed; else a planted one's
answers will do. With `--uv` the program is also run as `uvx` does it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

WINDOWS = os.name == "nt"
SYSTEM = [os.environ.get("SystemRoot", "") + r"\System32"] if WINDOWS else ["/usr/local/bin", "/usr/bin", "/bin"]
SMALL = "smollm2-135m-instruct"
# What the program wrote when the wheel was made.
BESIDE = [
    "share/bash-completion/completions/af1",
    "share/zsh/site-functions/_af1",
    "share/fish/vendor_completions.d/af1.fish",
    "share/man/man1/af1.1",
    "share/man/man1/af1-gate.1",
    "share/doc/af1/licences-of-crates.txt",
]
RECORDS = """
import sys, af1_records
found = af1_records.load(sys.argv[1])
assert len(found.cells) > 0 and (found.cells["provenance.runtime_version"] == sys.argv[2]).all(), found.cells
"""


class Environment:
    """An empty environment, with a cache of its own."""

    def __init__(self, folder):
        self.folder, self.cache = folder / "venv", folder / "cache"
        self.programs = self.folder / ("Scripts" if WINDOWS else "bin")
        venv.create(self.folder, with_pip=True)

    def run(self, *command, path=()):
        """What a command prints, where neither Rust nor another Python's runtime is in reach."""
        path = os.pathsep.join([*map(str, path), *SYSTEM])
        for name in ("cargo", "rustc"):
            assert shutil.which(name, path=path) is None, f"{name} is on the PATH"
        names = ("AF1_PYTHON", "ORT_DYLIB_PATH", "PYTHONPATH", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in names}
        environment |= {"PATH": path, "AF1_CACHE": str(self.cache)}
        done = subprocess.run([str(word) for word in command], env=environment, stdout=subprocess.PIPE, encoding="utf-8")
        if done.returncode:
            sys.exit(f"{command} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def install(self, what):
        self.run(self.programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what)

    def fetched(self):
        """The runtimes in the cache."""
        return [item.name for item in self.cache.iterdir() if item.name.startswith("onnxruntime")]


def beside(environment):
    """Completions, manual, licences and the list of crates."""
    missing = [file for file in BESIDE if not (environment.folder / file).read_text(encoding="utf-8")]
    assert not missing, missing
    script = "import importlib.metadata as m; print(*(f.name for f in m.files('af1-harness') if 'licenses' in f.parts), sep='\\n')"
    licences = environment.run(environment.programs / "python", "-c", script).split()
    assert sorted(licences) == ["LICENSE-APACHE", "LICENSE-MIT", "NOTICE"], licences
    script = "import importlib.metadata as m; print(*(f.read_text() for f in m.files('af1-harness') if 'sboms' in f.parts))"
    crates = json.loads(environment.run(environment.programs / "python", "-c", script))
    named = {crate["name"] for crate in crates["components"]}
    # What the program is made of, with licences and hashes, and not what its tests take.
    assert crates["bomFormat"] == "CycloneDX" and {"ort", "safetensors", "tokenizers"} <= named and "criterion" not in named, sorted(named)
    assert all(crate.get("licenses") and crate.get("hashes") for crate in crates["components"])


def installed(environment, wheel, models):
    """The wheel by pip; the version of the runtime."""
    environment.install(wheel)
    af1 = environment.programs / "af1"
    doctor = environment.run(af1, "doctor", "--device", "cpu")
    script = "import importlib.metadata as m; print(m.version('onnxruntime'))"
    version = environment.run(environment.programs / "python", "-c", script).strip()
    assert f"ONNX Runtime: {version} at " in doctor and "beside the program" in doctor and "cpu: runs" in doctor, doctor
    beside(environment)
    if models:
        for item in models.glob(f"{SMALL}*"):
            target = environment.cache / item.name
            shutil.copytree(item, target, copy_function=os.link) if item.is_dir() else os.link(item, target)
        table = environment.run(af1, "reproduce", "--model", SMALL, "--operation", "A+B")
        assert f"{SMALL}, 30 layers, f32 on ONNX Runtime {version} (cpu)" in table and "conclusion: " in table, table
        print(table)
    record = environment.folder / "record.jsonl"
    print(environment.run(af1, "run", "--model", "planted-af1", "--style", "symbolic", "--operands", "0..=9", "--record", record))
    assert environment.fetched() == [], environment.fetched()
    # The extra of the wheel that was installed; nothing else of it is installed again.
    environment.install(f"{wheel}[records]")
    environment.run(environment.programs / "python", "-c", RECORDS, record, version)
    return version


def by_uv(environment, wheel, uv, version):
    """The wheel by uv, which has no pip of its own and links to the program."""
    uv = Path(shutil.which(uv)).resolve()
    doctor = environment.run(uv, "tool", "run", "--from", wheel, "af1", "doctor", "--device", "cpu")
    assert f"ONNX Runtime: {version} at " in doctor and "beside the program" in doctor and ", pip " in doctor, doctor
    assert environment.fetched() == [], environment.fetched()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--models", type=Path)
    parser.add_argument("--uv")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder))
        version = installed(environment, asked.wheel, asked.models)
        if asked.uv:
            by_uv(environment, asked.wheel, asked.uv, version)
    print(f"{Path(asked.wheel).name}: runs on the library of onnxruntime {version}, and fetches none")


if __name__ == "__main__":
    main()
