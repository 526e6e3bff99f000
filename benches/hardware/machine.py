"""What is known of the machine: its processor, its card, the libraries that a card's provider needs."""

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import threading
from pathlib import Path


def processor():
    """Its name, and where that says little (in a virtual machine) its family and model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    about = {name.strip(): value.strip() for name, value in pairs}
    name = about.get("model name", platform.machine())
    if {"cpu family", "model"} <= about.keys():
        name += f" (family {about['cpu family']}, model {about['model']})"
    return f"{name}, {os.cpu_count()} threads"


def libraries_of_nvidia(device):
    """Lets the loader find CUDA and cuDNN where Python's packages brought them."""
    package = importlib.util.find_spec("nvidia") if device.startswith(("cuda", "tensorrt")) else None
    if package is None:
        return
    folders = [str(folder) for root in package.submodule_search_locations for folder in sorted(Path(root).glob("*/lib"))]
    before = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = ":".join(folders + ([before] if before else []))


class Card:
    """The card of a device, as NVIDIA's tool knows it; of others nothing is known but what the device says."""

    FIELDS = ["name", "driver_version", "memory.total", "power.limit"]

    def __init__(self, device):
        self.device = device
        self.tool = shutil.which("nvidia-smi") if device not in (None, "cpu") and not device.startswith("openvino") else None

    def _query(self, fields):
        number = self.device.partition(":")[2] or "0"
        command = [self.tool, f"--id={number}", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        first = done.stdout.strip().splitlines()[:1]
        return dict(zip(fields, (value.strip() for value in first[0].split(",")))) if first else {}

    def about(self):
        """Name, driver and size of the card."""
        return self._query(self.FIELDS) if self.tool else {}

    def name(self, device):
        """What files about it are called."""
        card = self.about().get("name") or ("software" if device.startswith("webgpu") else "processor")
        return re.sub(r"[^a-z0-9]+", "-", f"{device.split(':')[0]}-{card}".lower()).strip("-")

    @contextlib.contextmanager
    def watched(self):
        """Reads memory and power twice a second while something runs."""
        readings, done = [], threading.Event()

        def watch():
            while not done.wait(0.5):
                readings.append(self._query(["memory.used", "power.draw"]))

        thread = threading.Thread(target=watch, daemon=True)
        if self.tool:
            thread.start()

        def seen():
            of = lambda field: [float(one[field]) for one in readings if re.fullmatch(r"[\d.]+", one.get(field, ""))]
            memory, power = of("memory.used"), of("power.draw")
            return {"card_memory_mb": max(memory, default=None), "card_power_w": max(power, default=None)}

        try:
            yield seen
        finally:
            done.set()
            if self.tool:
                thread.join()
