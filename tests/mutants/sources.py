"""Copies of the program's sources, in which mistakes are made."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutants"


def copy(sources, tree):
    """Files and folders of the project, by their old and new places. What has not changed keeps its time, so that cargo builds only
    what a mistake touches."""
    shutil.rmtree(tree, ignore_errors=True)
    for source, place in sources.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tree / place, ignore=shutil.ignore_patterns("target"))
        else:
            shutil.copy2(ROOT / source, tree / place)


def copy_whole(tree):
    """Every file of the project: a build may include any of them."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    copy({file: file for file in files if (ROOT / file).is_file()}, tree)


class Part(NamedTuple):
    """Rooms of the program as a crate of their own, with their unit tests and with modules of the integration tests that need nothing
    else. It is built in seconds, the more so as the rooms below are a crate that is built once."""

    rooms: list[str]
    below: list[str]
    suite: list[str]
    fixtures: list[str]


def copy_part(part, tree):
    sources = {"Cargo.lock": "Cargo.lock"}
    sources.update({place_of(room): place_of(room) for room in part.rooms})
    sources.update({f"tests/suite/{module}": f"tests/suite/{module}" for module in part.suite})
    if part.suite:
        sources["tests/suite/fixtures/files.rs"] = "tests/suite/fixtures.rs"
    sources.update({place_of(room): f"below/{place_of(room)}" for room in part.below})
    folders = ["", "below/"] if part.below else [""]
    sources.update({f"fixtures/{file}": f"{folder}fixtures/{file}" for folder in folders for file in part.fixtures})
    copy(sources, tree)
    lines = "".join(f"pub mod {room};\n" for room in part.rooms)
    if part.below:
        write_crate(tree / "below", "below", "".join(f"pub mod {room};\n" for room in part.below) + "pub use error::{Error, Result};\n")
        lines += "pub use below::*;\n"
    if part.suite:
        modules = "".join(f"mod {module};\n" for module in ["fixtures", *part.suite])
        (tree / "tests/suite/main.rs").write_text(modules, encoding="utf-8")
    write_crate(tree, "af1", lines)


def place_of(room):
    return f"src/{room}" if (ROOT / "src" / room).is_dir() else f"src/{room}.rs"


def write_crate(folder, name, lines):
    """The root of a crate, and the project's manifest with those dependencies alone that its sources name."""
    (folder / "src/lib.rs").write_text(lines, encoding="utf-8")
    files = [*folder.glob("src/**/*.rs"), *folder.glob("tests/**/*.rs")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    sections = re.split(r"^(?=\[)", (ROOT / "Cargo.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = []
    for section in sections:
        header = section.split("\n", 1)[0]
        if header in ("[dependencies]", "[dev-dependencies]"):
            named = lambda line: is_used(line.split(" ")[0].replace("-", "_"), text)
            kept.append("\n".join([header, *filter(named, section.split("\n")[1:])]) + "\n")
        elif header == "[package]":
            kept.append(section.replace('name = "af1"', f'name = "{name}"'))
        elif header.startswith("[profile.") and name == "af1":
            kept.append(section)
    if "pub use below::" in lines:
        kept.append('[dependencies.below]\npath = "below"\n')
    if name == "af1":
        kept.append("[workspace]\n")
    (folder / "Cargo.toml").write_text("\n".join(kept), encoding="utf-8")


def is_used(crate, text):
    """Whether sources name a crate, and no module of that name."""
    return re.search(rf"\b{crate}::", text) and not re.search(rf"^mod {crate};", text, re.MULTILINE)


def name_modules(tree):
    """Names the modules of a `list!` outside of the macro, too: cargo-mutants does not see them there."""
    for file in tree.glob("src/**/mod.rs"):
        text = file.read_text(encoding="utf-8")
        found = re.search(r"^list! \{\n(.*?)^\}\n", text, re.MULTILINE | re.DOTALL)
        if found:
            modules = re.findall(r"^ +(\w+)::", found.group(1), re.MULTILINE)
            # Alone in its repetition, or before other lines of it.
            named = re.search(r"\$\(((?:pub )?mod) \$module;\)\*|((?:pub )?mod) \$module;\n", text)
            assert modules and named, f"{file}: the macro names its modules in another way"
            lines = "".join(f"{named.group(1) or named.group(2)} {module};\n" for module in modules)
            file.write_text(text.replace(named.group(0), "") + lines, encoding="utf-8")
