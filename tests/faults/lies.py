"""A hub that lies: what it says of lengths, hashes, names and other places is checked, and nothing is written elsewhere."""

import signal
import subprocess
import time
from pathlib import Path

from hub import SERVED, SHARDED, Hub
from scene import CASES, Wrong, compare, tree

FETCH, WRITE, INTERRUPTED = 40, 42, 130
INSPECT = ["inspect", "--model", "owner/tiny", "--style", "symbolic"]
# Each with what the error names.
LIES = {
    "cut short": "model.safetensors",
    "too long": "model.safetensors",
    "too short": "model.safetensors",
    "a hash of git": "config.json",
    "no hash": "no hash",
    "a redirect to itself": "redirect",
    "a size in the list": "model.safetensors",
    "a shard outside": "outside",
    "a commit outside": "outside",
    "an endless list": "more than",
}
# Where the file system says what it has left, a file that is larger is not begun.
NO_ROOM = ["a size in the list"]
# What is not true, but does no harm.
HARMLESS = ["an etag outside"]


def listing(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def hub(scene):
    """Every lie is one error; then the same home serves an honest hub."""
    liar = Hub()
    place = next(case for case in CASES if case.name == "hub")
    honest = scene.run(INSPECT, folder := scene.place(place), HF_HOME=str(folder / "a/b/c/home"))
    due = tree(folder / "a/b/c/home")
    for lie in [*LIES, *HARMLESS]:
        folder = scene.place(place)
        home = folder / "a/b/c/home"
        liar.lie, liar.folder = lie, SHARDED if lie == "a shard outside" else SERVED
        variables = {"HF_HOME": str(home), "HF_ENDPOINT": liar.address, "HF_TOKEN": "secret"}
        done = scene.run(INSPECT, folder, None, **variables)
        if lie in HARMLESS:
            if done.returncode:
                raise Wrong(f"{lie}: ended with {done.returncode}:\n{done.stderr}")
        elif done.returncode not in (FETCH, WRITE if lie in NO_ROOM else FETCH) or ("\n" + done.stderr).count("\nerror: ") != 1 or LIES[lie] not in done.stderr or "panicked" in done.stderr:
            raise Wrong(f"{lie}: expected one error of code {FETCH} that names {LIES[lie]!r}, found {done.returncode}:\n{done.stderr}")
        if "secret" in done.stderr:
            raise Wrong(f"{lie}: the token is in the error:\n{done.stderr}")
        outside = [name for name in listing(folder) if not name.startswith("a/b/c/home/") and name != "a/b/c/home" and name not in ("a", "a/b", "a/b/c")]
        if outside or Path("/tmp/af1-outside").exists():
            raise Wrong(f"{lie}: files outside of HF_HOME: {outside}")
        liar.lie, liar.folder = "", SERVED
        if lie == "a shard outside":
            # Its files were those of another model, of the same commit.
            home = folder / "a/b/c/another"
        done = scene.run(INSPECT, folder, HF_HOME=str(home), HF_ENDPOINT=liar.address)
        if done.stdout != honest.stdout or compare(due, tree(home)):
            raise Wrong(f"after {lie}: {dict(compare(due, tree(home)))} {sorted(tree(home).keys() ^ due.keys())}")
    return f"{len(LIES)} lies are an error with the code 40 each, or 42 where a disk has no room for what is claimed; {len(HARMLESS)} does no harm; {elsewhere(scene, liar)}"


def elsewhere(scene, liar):
    """A redirect to another place is followed, and the token stays with the first."""
    other = Hub()
    # Another host by its name.
    liar.elsewhere = other.address.replace("127.0.0.1", "localhost")
    folder = scene.place(next(case for case in CASES if case.name == "hub"))
    scene.run(INSPECT, folder, None, HF_HOME=str(folder / "home"), HF_ENDPOINT=liar.address, HF_TOKEN="secret")
    liar.elsewhere = None
    if any(other.tokens):
        raise Wrong("the token for the hub went to the place to which it redirects")
    if not any(liar.tokens):
        raise Wrong("the hub never saw a token: nothing was tried")
    return f"the token stays with the hub in {len(other.tokens)} redirects"


def silence(scene):
    """A hub that stops in the middle and keeps the connection is left; while it is silent, a request to stop is heard."""
    liar = Hub()
    liar.lie, liar.pace = "silence", 0.001
    folder = scene.place(next(case for case in CASES if case.name == "hub"))
    variables = {"HF_HOME": str(folder / "home"), "HF_ENDPOINT": liar.address}
    seconds = {}
    for lie in ("silence", "a silent list"):
        liar.lie, began = lie, time.monotonic()
        done = scene.run(INSPECT, folder, None, **variables)
        if done.returncode != FETCH or "error: " not in done.stderr:
            raise Wrong(f"a silent hub ended with {done.returncode}:\n{done.stderr}")
        seconds[lie] = time.monotonic() - began
    process = subprocess.Popen(
        [scene.program, *INSPECT], cwd=folder, env={**scene.environment, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    said = process.communicate(timeout=60)[1]
    if process.returncode != INTERRUPTED or time.monotonic() - began > 5:
        raise Wrong(f"a request to stop while a hub was silent ended with {process.returncode} after {time.monotonic() - began:.0f} s:\n{said}")
    return (
        f"left after {seconds['silence']:.0f} s in three tries, and after {seconds['a silent list']:.0f} s where it says nothing of its files, "
        f"with the code {FETCH}; a request to stop is heard meanwhile"
    )
