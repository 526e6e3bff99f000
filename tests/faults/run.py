"""Disturbs af1 as machines and networks do, and asks that the next run is as if nothing had been.

Usage: python3 run.py PROGRAM [--moments N] [--seed S] [--short] [--other PROGRAM] [CASE...]

First af1 is killed at N random moments (200) over fetching, measuring with a record, studies, gates, merging, reports, sharing and exports. The
same command runs again, and then nothing may be lost, nothing there twice, every byte that of an undisturbed run, and no temporary file left.
Then come faults that are cases by name: full disks, folders that cannot be written, two processes with one cache, signals, pipes that close,
clocks that jump, and a hub that lies. --other names the program in another version, which shares a cache with this one. --short leaves out
those that wait long. What a case needs and this machine has not is said as `not run`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import faults
import kills
from hub import Hub
from scene import Scene, Wrong, compare


def check_the_check():
    """What is wrong on purpose is noticed: a record that is cut, a line that is gone, there twice or changed, a file that is left, gone, or other."""
    due = {"record.jsonl": b'{"a":1}\n{"a":2}\n{"a":3}\n', "page": b"page"}
    planted = {
        "cut": ({"record.jsonl": due["record.jsonl"][:-3]}, {"lost", "other"}),
        "gone": ({"record.jsonl": b'{"a":1}\n{"a":3}\n'}, {"lost"}),
        "twice": ({"record.jsonl": due["record.jsonl"] + b'{"a":2}\n'}, {"twice"}),
        "changed": ({"record.jsonl": due["record.jsonl"].replace(b"2", b"4")}, {"lost", "other"}),
        "in another order": ({"record.jsonl": b'{"a":2}\n{"a":1}\n{"a":3}\n'}, {"other"}),
        "no end": ({"record.jsonl": due["record.jsonl"][:-1]}, {"other"}),
        "left": ({".af1-x": b""}, {"left"}),
        "another page": ({"page": b"pag"}, {"other"}),
    }
    for name, (change, noticed) in planted.items():
        assert set(compare(due, {**due, **change})) == noticed, name
    assert set(compare(due, {"page": b"page"})) == {"lost"} and not compare(due, dict(due))


def main():
    parser = argparse.ArgumentParser(description="Disturbs af1 as machines and networks do.")
    parser.add_argument("program", type=Path)
    parser.add_argument("--moments", type=int, default=200, help="how often it is killed")
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--short", action="store_true", help="leave out what waits long")
    parser.add_argument("--other", type=Path, help="the program in another version")
    parser.add_argument("case", nargs="*", help=f"of: {', '.join(faults.ALL)}")
    arguments = parser.parse_intermixed_args()
    check_the_check()
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(arguments.program.resolve(), Path(folder), Hub(), arguments.other and arguments.other.resolve())
        if arguments.moments and not arguments.case:
            wrong += kills.run(scene, arguments.moments, arguments.seed)
        for name in arguments.case or faults.ALL:
            began, case = time.monotonic(), faults.ALL[name]
            if arguments.short and case in faults.LONG:
                continue
            try:
                said = case(scene)
            except Wrong as e:
                wrong.append(f"{name}: {e}")
                said = "WRONG"
            print(f"{name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    if wrong:
        sys.exit("\n\n".join(wrong))


if __name__ == "__main__":
    main()
