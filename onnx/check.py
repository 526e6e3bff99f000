"""Checks ONNX files with the full check of `onnx.checker` (types, shapes, external data).

Usage: python check.py FILE...        (`pip install onnx`)
"""

import sys

import onnx

for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    graph = onnx.load(path, load_external_data=False).graph
    # Everything downstream relies on these names, see CONTRACT.md.
    inputs = {value.name for value in graph.input}
    outputs = {value.name for value in graph.output}
    if {"input_ids", "position_ids"} <= inputs and "logits" in outputs:
        layers = sum(name.startswith("attn_bias.") for name in inputs)
        boundaries = {value.name for value in graph.value_info}
        wanted = {f"resid.{layer}" for layer in range(layers + 1)}
        wanted |= {f"attn_{what}.{layer}" for what in ["pattern", "out"] for layer in range(layers)}
        missing = wanted - boundaries
        assert layers > 0 and not missing, f"{path}: missing boundaries {sorted(missing)}"
    print(f"{path}: ok, {len(graph.node)} nodes")
