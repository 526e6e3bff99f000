"""Makes the wheel: maturin does, after it was given what belongs beside the program.

As a build backend this is maturin's own, with one step before a wheel is made: the release program is built, and writes completions for
shells and the pages of its manual. They, the module `af1_records` and the licences of all crates in the program lie in the folder `af1.data`,
which maturin puts into the wheel. `python3 python/af1_build.py PROGRAM` writes that folder for a program that is built already, and `maturin
build` goes on from there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "af1.data"
COMPLETIONS = {
    "bash": "bash-completion/completions/af1",
    "zsh": "zsh/site-functions/_af1",
    "fish": "fish/vendor_completions.d/af1.fish",
}


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def cargo(*words):
    return output(os.environ.get("CARGO", "cargo"), *words)


def licences():
    """Every crate in the program with its licence, then each text once, below the crates that have it."""
    tree = cargo("tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    used = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]
    crates, texts = [], {}
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        folder = Path(package["manifest_path"]).parent
        if folder == ROOT or (package["name"], "v" + package["version"]) not in used:
            continue
        name = f"{package['name']} {package['version']}"
        crates.append(f"{name}: {package['license']}\n")
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")):
                text = file.read_text(encoding="utf-8", errors="replace").strip()
                texts.setdefault(text, []).append(f"{name}, {file.name}\n")
    sections = (f"\n{'=' * 80}\n{''.join(names)}{'=' * 80}\n{text}\n" for text, names in texts.items())
    return "".join(crates) + "".join(sections)


def write_data(program):
    """What lies beside the program in the wheel."""
    shutil.rmtree(DATA, ignore_errors=True)
    module = DATA / "purelib" / "af1_records.py"
    module.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "python" / module.name, module)
    share = DATA / "data" / "share"
    for shell, place in COMPLETIONS.items():
        file = share / place
        file.parent.mkdir(parents=True)
        file.write_text(output(program, "shell", "completions", shell), encoding="utf-8")
    output(program, "shell", "manual", "--out", str(share / "man" / "man1"))
    file = share / "doc" / "af1" / "licences-of-crates.txt"
    file.parent.mkdir(parents=True)
    file.write_text(licences(), encoding="utf-8")


def build_program():
    """The release program, which maturin then finds built."""
    cargo("build", "--release", "--locked")
    metadata = json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))
    target = Path(metadata["target_directory"], os.environ.get("CARGO_BUILD_TARGET", ""), "release")
    return str(target / ("af1.exe" if os.name == "nt" else "af1"))


if __name__ == "__main__":
    write_data(sys.argv[1])
else:
    from maturin import build_sdist, get_requires_for_build_sdist, get_requires_for_build_wheel, prepare_metadata_for_build_wheel
    import maturin

    def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
        write_data(build_program())
        return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
