"""Runs tests under AddressSanitizer: what reads or writes outside its memory, or memory that was given back, ends them.

Usage: python3 tests/sanitizer/run.py [TEST...]

The program's `unsafe` blocks map files, and call ONNX Runtime, the system's loader and the C library. All unit tests run, and of the
suite the tests below or those named: they load models of every kind, measure them, ask the runtime what it did, and read files that lie.
The program and the tests are instrumented; ONNX Runtime is not, but its memory comes from the sanitizer, too. Leaks are no errors here: one
environment of the runtime lives as long as its process.

The sanitizer is a part of the stable toolchain whose option is not stable, so RUSTC_BOOTSTRAP asks for it. It is a build of its own, under
target/sanitizer, of some ten minutes on two cores; so it is no part of CI.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Tests of the suite that map files and call the runtime on the processor; none that limits a process's memory, because the sanitizer takes
# much of its own.
TESTS = ["bad_input::", "experiments::", "fetching::", "foreign::", "gguf::", "inference::", "program::doctor", "room::the_runtime"]


def main():
    environment = {
        **os.environ,
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": "-Zsanitizer=address",
        "CARGO_TARGET_DIR": str(ROOT / "target/sanitizer"),
        "CARGO_PROFILE_DEV_DEBUG": "line-tables-only",
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1:strict_string_checks=1",
    }
    # With a target of its own, build scripts and macros are not instrumented.
    host = subprocess.run(["rustc", "--print", "host-tuple"], check=True, capture_output=True, text=True).stdout.strip()
    command = ["cargo", "test", "--locked", "--target", host]
    subprocess.run([*command, "--lib"], cwd=ROOT, env=environment, check=True)
    subprocess.run([*command, "--test", "suite", "--", *(sys.argv[1:] or TESTS)], cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main()
