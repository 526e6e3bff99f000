"""Runs the commands of documents and compares what they print with what the documents say.

Usage: python3 docs.py [--write] [--program FILE] [--part I/N] DOCUMENT...

A block of the language `console` has commands, lines that begin with `$ `, each with what it prints behind it; a line `...` stands for any
lines, and a command behind which nothing stands may print anything. A comment before a block changes that:

    <!-- by hand: REASON -->    the block is not run
    <!-- exit: CODE -->         its last command ends with this code

The commands of a document are run in one folder, from the first to the last, so that one can go on with what another left there; `fixtures`
and `onnx` are the project's. The version of ONNX Runtime is that of the machine. With --write what is printed is put into the documents.
--part I/N takes one part of N of the documents that have commands.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- (?P<key>by hand|exit): (?P<value>[^\n]*?) -->\n\n?)?^```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
VERSION = re.compile(r"ONNX Runtime \d+\.\d+\.\d+")
ANY = "..."


def commands_of(body):
    """The commands of a block, each with the lines that are due."""
    found = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line.rstrip())
        else:
            sys.exit(f"a block begins with what is no command: {line}")
    return found


def same(due, found):
    """Whether lines are those that are due."""
    pattern = "\n".join(".*" if line == ANY else re.escape(VERSION.sub("ONNX Runtime X", line)) for line in due)
    text = "\n".join(VERSION.sub("ONNX Runtime X", line.rstrip()) for line in found)
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def run(command, folder, environment):
    started = time.monotonic()
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    print(f"    {command}  ({time.monotonic() - started:.0f} s)", flush=True)
    return done


def of_document(path, environment, write):
    """Runs what a document says; what is wrong."""
    text = path.read_text(encoding="utf-8")
    wrong, count = [], 0
    print(f"{path}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("fixtures", "onnx"):
            os.symlink(ROOT / name, Path(folder) / name)

        def replaced(block):
            nonlocal count
            key, value, body = block["key"], block["value"], block["body"]
            if key == "by hand":
                return block[0]
            lines, all_commands = [], commands_of(body)
            for at, (command, due) in enumerate(all_commands):
                count += 1
                code = int(value) if key == "exit" and at + 1 == len(all_commands) else 0
                # Cargo is for who has the sources.
                here = ROOT if command.startswith("cargo ") else folder
                done = run(command, here, environment)
                found = done.stdout.rstrip("\n").splitlines()
                if done.returncode != code:
                    wrong.append(f"{path}: {command}\nended with {done.returncode}, not {code}:\n{done.stderr}")
                elif due and not same(due, found):
                    printed = "\n".join(found)
                    wrong.append(f"{path}: {command}\nprints what the document does not say:\n{printed}")
                keeps = not due or ANY in due
                lines += [f"$ {command}", *(due if keeps else map(str.rstrip, found))]
            return block[0].replace(body, "".join(f"{line}\n" for line in lines))

        new = BLOCK.sub(replaced, text)
    if write and new != text:
        path.write_text(new, encoding="utf-8")
    return wrong, count


def takes_long(command):
    """Whether a command measures the default model, or all planted ones, and not one planted model."""
    return ("--style" in command or "selfcheck" in command) and "--model" not in command


def part(documents, which):
    """Those of a part: all that have commands are dealt out in turn, first those with commands that take long, so that these do not come
    together."""
    first, of = map(int, which.split("/"))
    dealt = []
    for document in documents:
        blocks = [block for block in BLOCK.finditer(document.read_text(encoding="utf-8")) if block["key"] != "by hand"]
        commands = [command for block in blocks for command, _ in commands_of(block["body"])]
        if commands:
            dealt.append((-sum(map(takes_long, commands)), document))
    dealt.sort(key=lambda pair: pair[0])
    return [document for _, document in dealt][first - 1 :: of]


def main():
    parser = argparse.ArgumentParser(description="Runs the commands of documents.")
    parser.add_argument("--write", action="store_true", help="put what is printed into the documents")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/af1", help="the program that `af1` is")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="only one part of N of the documents")
    parser.add_argument("document", nargs="+", type=Path)
    arguments = parser.parse_args()
    documents = part(arguments.document, arguments.part)
    with tempfile.TemporaryDirectory() as bin:
        os.symlink(arguments.program.resolve(), Path(bin) / "af1")
        path = f"{bin}{os.pathsep}{os.environ['PATH']}"
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "GITHUB_STEP_SUMMARY")}
        environment["PATH"] = path
        results = [of_document(document, environment, arguments.write) for document in documents]
    wrong = [line for lines, _ in results for line in lines]
    if wrong and not arguments.write:
        sys.exit("\n\n".join(wrong))
    for line in wrong if arguments.write else []:
        print(f"was: {line.splitlines()[0]}")
    print(f"{sum(count for _, count in results)} commands print what {len(results)} documents say")


if __name__ == "__main__":
    main()
