"""Copies of the program's sources, in which mistakes are made."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutants"
WHOLE = ["src", "tests", "benches", "fixtures", "onnx", ".cargo", "Cargo.toml", "Cargo.lock", "README.md", "CONTRIBUTING.md"]


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
    copy({source: source for source in WHOLE}, tree)


def copy_part(rooms, suite, fixtures, tree):
    """A crate of some rooms alone, with their unit tests and with modules of the integration tests that need nothing else. It is
    built in seconds."""
    sources = {"Cargo.lock": "Cargo.lock"}
    for room in rooms:
        place = f"src/{room}" if (ROOT / "src" / room).is_dir() else f"src/{room}.rs"
        sources[place] = place
    for module in suite:
        sources[f"tests/suite/{module}"] = f"tests/suite/{module}"
    if suite:
        sources["tests/suite/fixtures/files.rs"] = "tests/suite/fixtures.rs"
    sources.update({f"fixtures/{file}": f"fixtures/{file}" for file in fixtures})
    copy(sources, tree)
    lines = [f"pub mod {room};" for room in rooms]
    if "error" in rooms:
        lines.append("pub use error::{Error, Result};")
    (tree / "src/lib.rs").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if suite:
        modules = "".join(f"mod {module};\n" for module in ["fixtures", *suite])
        (tree / "tests/suite/main.rs").write_text(modules, encoding="utf-8")
    text = "".join(file.read_text(encoding="utf-8") for file in tree.rglob("*.rs"))
    (tree / "Cargo.toml").write_text(manifest_of(text), encoding="utf-8")


def manifest_of(text):
    """The project's manifest with those dependencies alone that sources name."""
    sections = re.split(r"^(?=\[)", (ROOT / "Cargo.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = []
    for section in sections:
        header = section.split("\n", 1)[0]
        if header in ("[dependencies]", "[dev-dependencies]"):
            named = lambda line: is_used(line.split(" ")[0].replace("-", "_"), text)
            kept.append("\n".join([header, *filter(named, section.split("\n")[1:])]) + "\n")
        elif header == "[package]" or header.startswith("[profile."):
            kept.append(section)
    return "\n".join([*kept, "[workspace]", ""])


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
            named = re.search(r"\$\(((?:pub )?mod) \$module;\)\*", text)
            assert modules and named, f"{file}: the macro names its modules in another way"
            lines = "".join(f"{named.group(1)} {module};\n" for module in modules)
            file.write_text(text.replace(named.group(0), "") + lines, encoding="utf-8")
