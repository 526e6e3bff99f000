"""A sweep in shards, with Ray: one task a shard, then the merge.

    python ray_sweep.py --shards 4 -- waiting --model planted-af1

The folder of the records has to be one that all nodes see. A task whose worker dies, or whose af1 is killed, is tried again, and goes on in
its record. Without a cluster Ray starts one on this machine.
"""

import argparse
import subprocess
from pathlib import Path

import ray


class Killed(Exception):
    """af1 was killed by a signal, as where memory is short."""


def shard(index, options):
    """Measures a shard; its record."""
    record = options.folder / f"{index}-of-{options.shards}.jsonl"
    # Should Ray's worker be killed, af1 is, too: else it would go on, and the retry could not have its record.
    command = ["setpriv", "--pdeathsig", "KILL", "af1", *options.sweep, "--threads", str(options.threads)]
    command += ["--shard", f"{index}/{options.shards}", "--record", record]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code < 0:
        raise Killed(f"shard {index}: signal {-code}")
    # An error of af1 is the same at every try.
    if code > 0:
        raise RuntimeError(f"shard {index}: af1 ended with {code}")
    return record


def main():
    parser = argparse.ArgumentParser(description="A sweep in shards, with Ray.")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of every shard")
    parser.add_argument("--gpus", type=int, default=0, help="of every shard; then the sweep says --device cuda:0")
    parser.add_argument("--folder", type=lambda text: Path(text).resolve(), default="shards", help="of the records")
    parser.add_argument("--out", default="whole.jsonl")
    parser.add_argument("sweep", nargs="+", help="a verb of af1 and its options, behind --")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    ray.init(include_dashboard=False)
    # `max_retries` is of workers that die; of the exceptions only that which says so is tried again.
    task = ray.remote(num_cpus=options.threads, num_gpus=options.gpus, max_retries=2, retry_exceptions=[Killed])(shard)
    records = ray.get([task.remote(index, options) for index in range(1, options.shards + 1)])
    subprocess.run(["af1", "merge", *records, "--out", options.out], check=True)


if __name__ == "__main__":
    main()
