"""Faults, each a case of its own: what af1 says to them, and that the next run is as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import time

import lies
from kills import Undisturbed
from scene import CASES, MODEL, WRITTEN, Case, Wrong, compare, is_temporary, torn, tree
from versions import two_versions

# Exit codes, as docs/troubleshooting.md has them.
FETCH, WRITE, INTERRUPTED = 40, 42, 130
LONG_SWEEP = Case(
    "transfer",
    "transfer --model planted-af1 --style symbolic --operation A+B --operands 0..=19 --threads 1 --wait 1..=8 --transfer 0..=4 --record sweep.jsonl".split(),
    record="sweep.jsonl",
)


def named(name):
    return next(case for case in CASES if case.name == name)


def ask(right, words):
    if not right:
        raise Wrong(words)


def one_error(said, *parts):
    """One error, and no panic, that says what it should."""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    ask(len(errors) == 1 and "panicked" not in said and all(part in said for part in parts), f"expected one error with {parts}, found:\n{said}")


def same(scene, case, folder, undisturbed, after):
    """The command runs to its end, and all is as it was never disturbed."""
    said, found = scene.finish(case, folder)
    wrong = compare(undisturbed.tree, found)
    ask(not wrong and said == undisturbed.said, f"{case.name} after {after}: {dict(wrong)} {sorted(found.keys() - undisturbed.tree.keys())}")


def signals(scene):
    """A request to stop is heard, from a terminal, from a scheduler and when the terminal goes."""
    undisturbed = Undisturbed(scene, LONG_SWEEP)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        folder = scene.place(LONG_SWEEP)
        record = folder / LONG_SWEEP.record
        process = subprocess.Popen(
            [scene.program, *LONG_SWEEP.words], cwd=folder, env=scene.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and not (record.exists() and b"\n" in record.read_bytes()):
            time.sleep(0.005)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        ask(process.returncode == INTERRUPTED, f"{number!r} in the middle ended with {process.returncode}:\n{said}")
        one_error(said, "interrupted")
        held = record.read_bytes()
        ask(held.endswith(b"\n") and undisturbed.tree[record.name].startswith(held), f"after {number!r} the record is no beginning of the sweep")
        scene.run(["report", record.name], folder)
        same(scene, LONG_SWEEP, folder, undisturbed, repr(number))
    return "exit code 130, a record that can be read, and the same bytes when it goes on, after SIGINT, SIGTERM and SIGHUP"


def pipes(scene):
    """A reader that goes away ends nothing else."""
    tried = 0
    for words in (["list", "models"], ["report", "waiting.jsonl", "--format", "html"], ["report", "waiting.jsonl"], ["merge", "waiting.jsonl"], named("run").words):
        folder = scene.place(named("report"))
        process = subprocess.Popen([scene.program, *words], cwd=folder, env=scene.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # As `head -1` does, or one that reads nothing.
        if tried % 2:
            process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
        code = process.wait(timeout=60)
        ask(code == 0 and "error" not in said and "panicked" not in said, f"af1 {' '.join(words)} | head -1 ended with {code}:\n{said}")
        tried += 1
    record = folder / "run.jsonl"
    ask(record.read_bytes() == (scene.inputs / "run.jsonl").read_bytes(), "the record of a run whose reader went is another")
    return f"{tried} commands whose reader goes end with 0 and without an error"


FULL = """
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 99
cp -a "$3/inputs/." "$2/" && cd "$2" || exit 98
shift 3
"$@"; code=$?
cp -a "$PWD" "$HALF" && mount -o remount,size=64m "$PWD" || exit 97
"$@" >&2 || exit 96
cp -a "$PWD" "$AFTER" || exit 95
exit $code
"""


def small_disk(scene, case, size):
    """Runs a command twice on a disk of its own, first with that little room: exit code, message, and the files after both runs."""
    folder, beside = scene.place(case), scene.place(Case("beside", []))
    shutil.copytree(folder, beside / "inputs")
    environment = {**scene.environment, **scene.variables(case, folder), "HALF": str(beside / "half"), "AFTER": str(beside / "after")}
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *rights, "sh", "-c", FULL, "sh", str(size), folder, beside, scene.program, *case.words]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode == 99:
        return None
    ask(done.returncode < 95, f"{case.name} could not go on when there was room again ({done.returncode}):\n{done.stderr}")
    return done.returncode, done.stderr, tree(beside / "half"), tree(beside / "after")


def full_disk(scene):
    """Disks of many sizes, each too small for what a command writes."""
    sizes, full = random.Random(22), 0
    for case in CASES:
        if case.name in ("hub", "fetch --force", "gate"):
            continue
        folder = scene.place(case)
        before = sum(map(len, tree(folder).values()))
        undisturbed = Undisturbed(scene, case)
        written = sum(map(len, undisturbed.tree.values())) - before
        for _ in range(2):
            tried = small_disk(scene, case, before + 16384 + int(written * sizes.uniform(0, 0.9)))
            if tried is None:
                return "not run: this system does not let its users mount a small file system"
            code, said, half, after = tried
            if code == 0:
                continue
            full += 1
            ask(code == WRITE, f"{case.name} on a full disk ended with {code}:\n{said}")
            # What comes after the first error is the second run's.
            one_error(said, "cannot write")
            left = [name for name in half if is_temporary(name)] + torn(case, undisturbed.tree, half)
            ask(not left, f"{case.name} on a full disk leaves {left}")
            wrong = compare(undisturbed.tree, after)
            ask(not wrong, f"{case.name} after a full disk: {dict(wrong)}")
    ask(full >= 10, f"the disk was full only {full} times")
    return f"{full} times full: exit code 42, nothing half-written left, the same bytes once there is room"


def limited(scene):
    """The same without any rights: files may not grow beyond a size."""
    tried = 0
    for name, blocks in (("fetch", 2000), ("export", 3000), ("waiting", 20), ("report", 20), ("share", 100), ("merge", 20)):
        case, folder = named(name), scene.place(named(name))
        undisturbed = Undisturbed(scene, case)
        script = f"trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""
        environment = {**scene.environment, **scene.variables(case, folder)}
        done = subprocess.run(["bash", "-c", script, "sh", scene.program, *case.words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        ask(done.returncode == WRITE, f"{name} with files of at most {blocks} KiB ended with {done.returncode}:\n{done.stderr}")
        one_error(done.stderr, "cannot write")
        left = [file for file in tree(folder) if is_temporary(file)]
        ask(not left, f"{name} with files of at most {blocks} KiB leaves {left}")
        same(scene, case, folder, undisturbed, "files that could not grow")
        tried += 1
    return f"{tried} commands whose files may not grow: exit code 42, nothing left, the same bytes without the limit"


def as_nobody(scene, words, folder, **variables):
    """Runs a command as a user whom folders' rights bind."""
    drop = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    environment = {**scene.environment, **variables, "HOME": str(folder)}
    return subprocess.run([*drop, scene.program, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def read_only(scene):
    """A cache that is read by many and written by none, whole and empty."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return "not run: root is bound by no rights, and there is no setpriv"
    folder = scene.place(named("run"))
    library = shutil.copy2(scene.environment["ORT_DYLIB_PATH"], scene.folder / "bin/libonnxruntime.so")
    home = folder / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    expected = scene.run(["run", *MODEL, "--threads", "1"], folder).stdout
    whole, empty = folder / "whole", folder / "empty"
    empty.mkdir()
    scene.run(["fetch", "--model", "planted-af1"], folder, AF1_CACHE=str(whole))
    for path in [whole, empty, *whole.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = tree(whole)
    run = ["run", *MODEL, "--threads", "1"]
    done = as_nobody(scene, run, home, AF1_CACHE=str(whole), ORT_DYLIB_PATH=str(library))
    ask(done.returncode == 0 and done.stdout == expected, f"with a cache that cannot be written:\n{done.stderr}")
    # Copied, so that every time of change is another one, and the notes of that cannot be written.
    for path in whole.rglob("*"):
        os.utime(path, (WRITTEN, WRITTEN))
    done = as_nobody(scene, run, home, AF1_CACHE=str(whole), ORT_DYLIB_PATH=str(library))
    ask(done.returncode == 0 and done.stdout == expected, f"with a copied cache that cannot be written:\n{done.stderr}")
    ask(tree(whole) == before, "a cache that cannot be written has changed")
    done = as_nobody(scene, run, home, AF1_CACHE=str(empty), ORT_DYLIB_PATH=str(library))
    ask(done.returncode == WRITE, f"an empty cache that cannot be written ended with {done.returncode}:\n{done.stderr}")
    one_error(done.stderr, "cannot write", "AF1_CACHE")
    done = as_nobody(scene, [*run, "--record", str(folder / "r.jsonl")], home, AF1_CACHE=str(whole), ORT_DYLIB_PATH=str(library))
    ask(done.returncode == WRITE, f"a record in a folder that cannot be written ended with {done.returncode}:\n{done.stderr}")
    one_error(done.stderr, "r.jsonl")
    return "a whole cache serves, an empty one and a record are refused with 42"


def shared(scene):
    """Processes that fill one cache at once, of which one is killed."""
    case, moments = named("fetch"), random.Random(22)
    undisturbed = Undisturbed(scene, case)
    for _ in range(5):
        folder = scene.place(case)
        environment = {**scene.environment, **scene.variables(case, folder)}
        all_of_them = [
            subprocess.Popen([scene.program, *case.words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        time.sleep(moments.uniform(0, undisturbed.seconds))
        all_of_them[0].kill()
        for process in all_of_them:
            said = process.communicate(timeout=60)[1]
            ask(process is all_of_them[0] or process.returncode == 0, f"beside one that was killed: {said}")
        same(scene, case, folder, undisturbed, "three processes with one cache")
    return "5 times three processes filled one cache, one of them was killed, and the others ended with 0"


def clock(scene):
    """Times of change in the future, at the epoch and before it; where there is `faketime`, the clock itself jumps, too."""
    case = named("waiting")
    undisturbed = Undisturbed(scene, case)
    for stamp in (4_200_000_000, 0, -86_400 * 365 * 20):
        folder = scene.place(case)
        cache = folder / "cache"
        scene.run(["fetch", "--model", "planted-af1"], folder, AF1_CACHE=str(cache))
        scene.run(case.words, folder, AF1_CACHE=str(cache))
        record = folder / case.record
        record.write_bytes(record.read_bytes()[:5000])
        for path in [*folder.rglob("*")]:
            os.utime(path, (stamp, stamp))
        scene.run(["cache"], folder, AF1_CACHE=str(cache))
        scene.run(case.words, folder, AF1_CACHE=str(cache))
        found = {name: data for name, data in tree(folder).items() if not name.startswith("cache/")}
        ask(not compare(undisturbed.tree, found), f"with files of the time {stamp}: {dict(compare(undisturbed.tree, found))}")
        left = [name for name in tree(cache) if is_temporary(name)]
        ask(not left, f"with files of the time {stamp} these stay: {left}")
        for file in ("waiting.jsonl", "answers.jsonl"):
            os.utime(folder / file, (stamp, stamp))
        scene.run(named("share").words, folder)
    if not shutil.which("faketime"):
        return "files from 2103, 1970 and 1950 change nothing; the clock itself: not run, there is no faketime"
    for first, second in (("2031-01-01", "2001-01-01"), ("1999-12-31", "2060-06-01")):
        folder = scene.place(case)
        for day in (first, second):
            done = subprocess.run(["faketime", day, scene.program, *case.words], cwd=folder, env=scene.environment, capture_output=True, text=True, timeout=120)
            ask(done.returncode == 0, f"on {day}: {done.stderr}")
            ask(not compare(undisturbed.tree, tree(folder)), f"on {day} the bytes are others")
    return "files from 2103, 1970 and 1950, and clocks that jump by decades, change nothing"


ALL = {
    "signals": signals,
    "pipes": pipes,
    "full-disk": full_disk,
    "limited-files": limited,
    "read-only": read_only,
    "shared-cache": shared,
    "two-versions": two_versions,
    "clock": clock,
    "hub": lies.hub,
    "silent-hub": lies.silence,
}
# They wait, or repeat what the short ones show.
LONG = [full_disk, lies.silence]
