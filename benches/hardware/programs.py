"""The programs that a device is tried with."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Failed(Exception):
    """What a device does not do as it must."""


class Programs:
    """The three programs: built here, or unpacked."""

    def __init__(self):
        packed = ROOT / "programs"
        if packed.is_dir():
            self.af1, self.devices, self.peers = (str(packed / name) for name in ["af1", "devices", "peers"])
            os.environ.setdefault("AF1_CACHE", str(ROOT / "cache"))
            return
        self.af1 = built(["build", "--release"], "bin", "af1")
        self.devices = built(["test", "--release", "--test", "devices", "--no-run"], "test", "devices")
        self.peers = built(["bench", "--bench", "peers", "--no-run"], "bench", "peers")

    def run(self, program, *words, env=None):
        """What a program prints, and its errors; it must succeed."""
        done = subprocess.run(
            [program, *words], cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
            raise Failed(f"`{Path(program).name} {' '.join(words)}` ended with {done.returncode}:\n{said}")
        return done.stdout


def built(words, kind, name):
    command = ["cargo", *words, "--locked", "--message-format", "json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == name and kind in message["target"]["kind"]:
            return message["executable"]
    raise SystemExit(f"cargo built no {kind} {name}")
