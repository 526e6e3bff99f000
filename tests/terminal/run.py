"""Shows what the program prints in a terminal of several widths: no line is too long, the answer stands first, colours can be turned off.

Usage: python3 tests/terminal/run.py PROGRAM

Every verb is run on a planted model behind a pseudo-terminal, and what it prints is drawn by a terminal emulator (pyte, from PyPI): its
screen has to show every line as it was printed. What a width measures is recorded, so that the next width only shows it.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pyte

WIDTHS = (80, 100, 120)
PLANTED = "--model planted-af1 --style symbolic,verbal --operands 0..=9 --record record.jsonl"
# What measures, as small as it can be, and what only shows.
EXPERIMENTS = {
    "reproduce": "",
    "run": "--masking abp,no-sink",
    "waiting": "",
    "transfer": "",
    "necessity": "",
    "heads": "--controls 2",
    "alternatives": "",
    "discover": "",
    "stability": "--draws 2",
    "contexts": "--numbers 1,3 --draws 5",
    "attention": "",
    "patch": "--pairs 20",
    "peek": "",
    "windows": "--controls 2",
    "lens": "",
}
SHOWN = [
    "gate --model planted-af1 --config {root}/fixtures/gate/conditions.toml",
    "claims --list",
    "report record.jsonl",
    "inspect --model planted-style",
    "inspect {root}/fixtures/foreign/counting.onnx",
    "selfcheck --model planted-two-hop,planted-digits",
    "diff --model planted-noisy --style symbolic --operands 0..=4",
    "cache",
    *(f"list {what}" for what in ("models", "styles", "operations", "ablations", "maskings", "experiments", "devices")),
]
# Verbs that print no table: a path, a file, or a list of what is installed.
OTHERS = {"merge", "share", "fetch", "export", "doctor", "logits", "shell", "study", "help"}
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(program, words, folder, width, environment=None):
    """What the program prints on a terminal of this width."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    child = subprocess.Popen(
        [program, *words.split()], cwd=folder, stdout=writer, stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    os.close(writer)
    pieces = []
    while True:
        try:
            piece = os.read(reader, 65536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(reader)
    child.wait()
    return b"".join(pieces).decode("utf-8").replace("\r\n", "\n")


def check(name, text, width):
    """Draws a text, and compares the screen with what was printed."""
    plain = CODES.sub("", text).rstrip("\n")
    lines = plain.split("\n")
    screen = pyte.Screen(width, len(lines) + 1)
    pyte.Stream(screen).feed(text.rstrip("\n").replace("\n", "\r\n"))
    drawn = [line.rstrip() for line in screen.display]
    # A table is never broken; a word that is longer than the line is.
    for at, line in enumerate(lines):
        if len(line) > width and line.startswith(("|", "- ", "  ")) and " " in line.strip():
            sys.exit(f"{name}: {width} columns, and a line of {len(line)}:\n{line}")
    if all(len(line) <= width for line in lines) and drawn[: len(lines)] != [line.rstrip() for line in lines]:
        sys.exit(f"{name}: the terminal of {width} columns shows something else:\n{plain}")
    return lines


def main():
    program = str(Path(sys.argv[1]).resolve())
    root = Path(__file__).resolve().parents[2]
    verbs = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+) {2,}[A-Z]", verbs, re.MULTILINE))
    known = set(EXPERIMENTS) | {words.split()[0] for words in SHOWN} | OTHERS
    if verbs - known:
        sys.exit(f"these verbs are not tried: {', '.join(sorted(verbs - known))}")
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            for verb, options in EXPERIMENTS.items():
                words = f"{verb} {PLANTED} {options}"
                lines = check(words, in_terminal(program, words, folder, width), width)
                tables = [at for at, line in enumerate(lines) if line.startswith(("|", "- "))]
                conclusions = [at for at, line in enumerate(lines) if line.startswith("conclusion: ")]
                if not conclusions or (tables and tables[0] < conclusions[0]):
                    sys.exit(f"{words}: the conclusion does not stand before the tables:\n" + "\n".join(lines))
                count += 1
            for words in SHOWN:
                words = words.format(root=root)
                check(words, in_terminal(program, words, folder, width), width)
                count += 1
        run = "report record.jsonl"
        coloured, plain = (in_terminal(program, run, folder, 100, {"NO_COLOR": value}) for value in ("", "1"))
        if not CODES.search(coloured) or CODES.search(plain) or CODES.sub("", coloured) != plain:
            sys.exit("NO_COLOR makes another difference than that of colours")
    print(f"{count} texts fit terminals of {', '.join(map(str, WIDTHS))} columns")


if __name__ == "__main__":
    main()
