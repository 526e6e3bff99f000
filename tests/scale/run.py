"""Runs the recipes of docs/scale as a user does, kills a shard in the middle of each, and asks that the result is the sweep's.

Usage: python3 run.py AF1 [RECIPE...]    (`pip install -r requirements.txt`; Debian's slurm-wlm; root, or sudo without a password, for Slurm)

The sweep is the grid of a planted model in four shards. The process that has the record of one of them open is killed when the record has a
cell and not yet all. The shard has to begin again and to go on in that record, and what is merged has to be the bytes of the sweep that was
never split.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import slurm
import yaml

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "docs/scale"
SHARDS, KILLED = 4, 3
# Of each shard two boundaries, each of which takes a good part of a second: the kill comes between them.
SWEEP = "transfer --model planted-af1 --style symbolic --operation A+B --operands 0..=39 --limit 1600 --wait 1..=8 --transfer 0..=4"


def holder(record):
    """The process that has a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(record):
                return int(link.parts[2])
        except OSError:
            continue  # It has ended.
    return None


def kill(record, process, whose=lambda process: process):
    """Kills the process of a shard, or another one of it, when its record has a cell. What the record held then."""
    while process.poll() is None:
        held = record.read_bytes() if record.exists() else b""
        found = holder(record) if b"\n" in held else None
        if found is not None:
            subprocess.run(slurm.ROOT_PREFIX + ["kill", "-KILL", str(whose(found))], check=True)
            while holder(record) == found:
                time.sleep(0.01)
            held = record.read_bytes()
            held = held[: held.rindex(b"\n") + 1]
            kinds = [json.loads(line)["experiment"] for line in held.splitlines()]
            assert kinds and "shard" not in kinds, f"it was not killed in the middle: {kinds}"
            return held
        time.sleep(0.02)
    sys.exit(f"{process.args} ended with {process.returncode} before there was anything to kill")


class Scene:
    """A folder in which a recipe is run, with the program in the path."""

    def __init__(self, af1, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/af1").symlink_to(af1)
        self.environment = {
            **os.environ,
            # Ray, Snakemake and their Python come with the one that runs this.
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SWEEP": SWEEP,
        }

    def start(self, *command, **more):
        environment = {**self.environment, **more.pop("environment", {})}
        return subprocess.Popen([str(word) for word in command], cwd=self.folder, env=environment, **more)

    def record(self, name):
        return self.folder / "shards" / name

    def check(self, held, record, whole, expected):
        """Whether the killed shard went on where it was, and the result is the sweep's."""
        assert record.read_bytes().startswith(held), "the shard did not go on in its record"
        assert whole.read_bytes() == expected, "the merged bytes are not the sweep's"


def kubernetes(scene, expected):
    """The pods' command index by index, with what the volumes are in a folder; a killed index runs again, as `backoffLimitPerIndex` has it."""
    subprocess.run([Path(sys.executable).parent / "kubernetes-validate", "--strict", RECIPES / "kubernetes.yaml"], check=True)
    sweep, merge = yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text())
    (records := scene.folder / "shards").mkdir()
    spec = sweep["spec"]
    assert spec["completions"] == SHARDS and spec["backoffLimitPerIndex"] > 0
    container = spec["template"]["spec"]["containers"][0]
    mounts = {"/records": records, "/cache": None}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == set(mounts)
    local = lambda text: text.replace("/records", str(records))
    # The sweep of this test in place of the recipe's; the shard, the record and the threads are the recipe's.
    args = SWEEP.split() + [local(arg) for arg in container["args"] if arg.split("=")[0] in ("--threads", "--shard", "--record")]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables.pop("AF1_CACHE") == "/cache"

    def pod(index):
        environment = {**variables, "JOB_COMPLETION_INDEX": str(index)}
        return scene.start(*container["command"], *args, environment=environment, stdout=subprocess.DEVNULL)

    record = scene.record(f"{KILLED}-of-{SHARDS}.jsonl")
    for index in range(SHARDS):
        if index + 1 == KILLED:
            process = pod(index)
            held = kill(record, process)
            assert process.wait() < 0
        assert pod(index).wait() == 0
    container = merge["spec"]["template"]["spec"]["containers"][0]
    assert scene.start(*container["command"], *map(local, container["args"])).wait() == 0
    scene.check(held, record, records / "whole.jsonl", expected)
    # Without one of them the merge fails, and names it.
    record.unlink()
    process = scene.start(*container["command"], *map(local, container["args"]), stderr=subprocess.PIPE, text=True)
    said = process.communicate()[1]
    assert process.returncode == 23 and f"shard {KILLED}/{SHARDS} is missing" in said, said


def ray(scene, expected):
    """The worker of a shard is killed, as where a node fails; af1 must not outlive it."""
    process = scene.start(sys.executable, RECIPES / "ray_sweep.py", "--shards", SHARDS, "--", *SWEEP.split())
    record = scene.record(f"{KILLED}-of-{SHARDS}.jsonl")
    parent = lambda found: next(line.split()[1] for line in Path(f"/proc/{found}/status").read_text().splitlines() if line.startswith("PPid"))
    held = kill(record, process, parent)
    assert process.wait() == 0
    scene.check(held, record, scene.folder / "whole.jsonl", expected)


def snakemake(scene, expected, *more):
    """On this machine: af1 is killed, and the job is tried again."""
    command = ["snakemake", "--snakefile", RECIPES / "Snakefile", "--config", f"sweep={SWEEP}", f"shards={SHARDS}"]
    process = scene.start(*command, *(more or ["--cores", os.cpu_count()]))
    record = scene.record(f"{KILLED}-of-{SHARDS}.part")
    held = kill(record, process)
    assert process.wait() == 0
    scene.check(held, record.with_suffix(".jsonl"), scene.folder / "whole.jsonl", expected)


def snakemake_slurm(scene, expected):
    """The same by Slurm. There is no accounting here, so that the state of jobs is asked of squeue."""
    with slurm.cluster(scene.folder):
        snakemake(scene, expected, "--executor", "slurm", "--jobs", SHARDS, "--slurm-no-account", "--slurm-status-command", "squeue",
                  "--slurm-init-seconds-before-status-checks", 2, "--seconds-between-status-checks", 2)


def sbatch(scene, expected):
    """The array with its merge; a task is killed, and requeues itself."""
    with slurm.cluster(scene.folder):
        submit = scene.start("bash", RECIPES / "slurm.sbatch", f"--array=1-{SHARDS}", stdout=subprocess.PIPE, text=True)
        assert submit.wait() == 0, "sbatch failed"
        merge = submit.stdout.read().split()[-1]
        wait = scene.start("bash", "-c", f"while [ -n \"$(squeue --noheader --job={merge})\" ]; do sleep 0.2; done")
        record = scene.record(f"{KILLED}-of-{SHARDS}.jsonl")
        held = kill(record, wait)
        assert wait.wait() == 0
        logs = {log.name: log.read_text() for log in scene.folder.glob("af1*.log")}
        of_killed = [log for name, log in logs.items() if name.endswith(f"-{KILLED}.log")]
        assert len(of_killed) == 1 and of_killed[0].count(f"shard {KILLED}/{SHARDS}, by SLURM_ARRAY_TASK_ID") == 2, logs
        scene.check(held, record, scene.folder / "whole.jsonl", expected)


ALL = {"kubernetes": kubernetes, "ray": ray, "snakemake": snakemake, "sbatch": sbatch, "snakemake-slurm": snakemake_slurm}


def main():
    af1 = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "whole.jsonl"
        subprocess.run([af1, *SWEEP.split(), "--threads", "1", "--record", record], stdout=subprocess.DEVNULL, check=True)
        expected = subprocess.run([af1, "merge", record], stdout=subprocess.PIPE, check=True).stdout
    for name in sys.argv[2:] or ALL:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            ALL[name](Scene(af1, Path(folder)), expected)
        print(f"{name}: a shard was killed, went on, and the merged bytes are the sweep's ({time.monotonic() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
