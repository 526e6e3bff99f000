#!/usr/bin/env python3
"""Runs the planted models and a slice of the real one on a device and on the processor, and compares what they say.

    tests/devices/run.py AF1 DEVICE

AF1 is the program. Nothing may run on the processor instead: every node must be on the device's provider, the verdicts and the
answers must be equal, and logit differences equal up to TOLERANCE.
"""

import json
import subprocess
import sys
from pathlib import Path

# Logits of planted models and of SmolLM2 go up to some thirty; the two sum products of f32 in another order.
TOLERANCE = 1e-3

FIXTURES = Path(__file__).parents[2] / "fixtures"
PLANTED = "af1 operator heads style noisy late spread two-hop relay weak constant".split()
PROVIDERS = {
    "webgpu": "WebGpuExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
EQUAL = [
    "experiment", "style", "operation", "ablation", "wait", "transfer", "knockout_layers", "prompts", "base_correct", "correct",
    "correct_given_base", "base_answers", "answers", "verdict",
]
NEAR = ["logit_difference", "base_logit_difference", "kl_divergence"]


def runs():
    """Verbs with their options."""
    slice_of_real = ["--style", "calculate", "--operation", "A+B", "--operands", "0..=3"]
    small = ["--style", "symbolic", "--operation", "A+B", "--operands", "0..=4"]
    for name in PLANTED:
        yield ["run", "--model", f"planted-{name}", *small]
    for verb in ["waiting", "necessity", "transfer", "alternatives"]:
        yield [verb, "--model", "planted-af1", *small]
    yield ["run", "--model", "planted-af1", *small, "--masked"]
    for config in sorted((FIXTURES / "reference/tiny-families").glob("*/config.json")):
        folder = config.parent
        yield ["run", "--model", str(folder), *small, "--wait", "1", "--transfer", "1"]
    yield ["run", "--model", "smollm2-135m-instruct", *slice_of_real, "--ablation", "cama,zero"]


def lines(program, args, device):
    command = [program, *args, "--format", "json", "--device", device]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {run.returncode}\n{run.stderr}")
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return [row for row in rows if "correct_given_base" in row]


def main():
    program, device = sys.argv[1:]
    kind = device.split(":")[0]
    nodes, models, cells, most = {}, set(), 0, 0.0
    for args in runs():
        expected, found = lines(program, args, "cpu"), lines(program, args, device)
        assert len(expected) == len(found) > 0, args
        for a, b in zip(expected, found):
            where = f"{' '.join(args)}: W={b['wait']} K={b['transfer']} {b['ablation']}"
            for field in EQUAL:
                if a[field] != b[field]:
                    raise SystemExit(f"{where}: {field} is {a[field]} on the processor, {b[field]} on {device}")
            for field in NEAR:
                if a[field] is None and b[field] is None:
                    continue
                apart = abs(a[field] - b[field])
                most = max(most, apart)
                if apart > TOLERANCE:
                    raise SystemExit(f"{where}: {field} is {a[field]} on the processor, {b[field]} on {device}")
            provenance = b["provenance"]
            if set(provenance["providers"]) != {PROVIDERS[kind]} or not provenance["device"].startswith(kind):
                raise SystemExit(f"{where}: asked for {device}, ran on {provenance['device']}: {provenance['providers']}")
            if kind == "webgpu" and len(provenance.get("provider_sha256", "")) != 64:
                raise SystemExit(f"{where}: the record does not say which plugin ran")
            nodes[provenance["graph_sha256"]] = sum(provenance["providers"].values())
            models.add(provenance["model_sha256"])
            cells += 1
        print(f"{device}: {' '.join(args)}: {len(found)} cells as on the processor", file=sys.stderr, flush=True)
    # Layers spread over the device and the processor: both run, and say the same.
    args = ["run", "--model", "planted-af1", "--style", "symbolic", "--operation", "A+B", "--operands", "0..=4"]
    for spread in [f"{device},cpu", f"cpu,{device}"]:
        for a, b in zip(lines(program, args, "cpu"), lines(program, args, spread), strict=True):
            both = {PROVIDERS[kind], PROVIDERS["cpu"]}
            if a["answers"] != b["answers"] or set(b["provenance"]["providers"]) != both:
                raise SystemExit(f"{spread}: {b['answers']} {b['provenance']['providers']}, on the processor {a['answers']}")
    print(f"{device}: {cells} cells of {len(models)} models: equal verdicts and answers, numbers apart by at most {most:.1e}, "
          f"{sum(nodes.values())} nodes of {len(nodes)} graphs on {PROVIDERS[kind]}")


main()
