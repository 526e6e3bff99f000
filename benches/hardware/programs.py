"""The programs that a device is tried with."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Failed(Exception):
    """What a device does not do as it must."""


class Programs:
    """The three programs: unpacked, or built here; quickly, as the tests are, or as they are released."""

    def __init__(self, quick=False):
        packed = ROOT / "programs"
        if packed.is_dir():
            self.af1, self.devices, self.peers = (str(packed / name) for name in ["af1", "devices", "peers"])
            os.environ.setdefault("AF1_CACHE", str(ROOT / "cache"))
            return
        release = [] if quick else ["--release"]
        # A test brings the program that it runs; the variable names another one, as it does for the suite.
        found = built("test", *release, "--no-run", "--test", "devices", "--bench", "peers")
        found["af1"] = os.environ.get("AF1_PROGRAM", found.get("af1"))
        self.af1, self.devices, self.peers = (found[name] for name in ["af1", "devices", "peers"])

    def run(self, program, *words, env=None):
        """What a program prints, and its errors; it must succeed."""
        done = subprocess.run(
            [program, *words], cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
            raise Failed(f"`{Path(program).name} {' '.join(words)}` ended with {done.returncode}:\n{said}")
        return done.stdout


def built(*words):
    """Builds something of the project; the programs that come of it by their names."""
    command = ["cargo", *words, "--locked", "--message-format", "json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = [message for message in map(json.loads, lines) if message.get("executable")]
    return {artifact["target"]["name"]: artifact["executable"] for artifact in artifacts}
