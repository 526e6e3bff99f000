#!/usr/bin/env python3
"""Times the attention of one layer written in plain operators against ONNX's own `Attention` operator, and compares what they say.

Usage: attention.py [--provider cpu|webgpu] [--batch N] [--positions N,...] [--rounds N] [--threads N]

It needs onnx 1.23.2, onnxruntime 1.32.0 and, for webgpu, onnxruntime-ep-webgpu 0.4.0 of PyPI. The shape is that of Qwen2.5 0.5B: 14 query
heads, 2 heads of keys and values, 64 numbers a head; the mask is one for all heads, with additive floats. The two are run in turns, so
that the ratio of the medians holds on a busy machine; without the same answers there is no ratio.
"""

import argparse
import statistics
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

HEADS, KV, WIDTH = 14, 2, 64
TOLERANCE = 1e-5


def model(nodes, constants=()):
    def value(name, heads, *last):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", heads, *last])

    inputs = [value("query", HEADS, "q", WIDTH), value("key", KV, "k", WIDTH), value("value", KV, "k", WIDTH), value("bias", 1, "q", "k")]
    graph = helper.make_graph(nodes, "attention", inputs, [value("mixed", HEADS, "q", WIDTH)], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10).SerializeToString()


def plain():
    """As af1 writes it: the query heads of one group stand one below the other, so that keys and values are never repeated."""
    node = helper.make_node
    ints = {"by_group": [0, KV, -1, WIDTH], "by_head": [0, HEADS, -1, 0], "pattern_by_group": [0, KV, -1, 0], "mixed_by_head": [0, HEADS, -1, WIDTH]}
    constants = [helper.make_tensor(name, TensorProto.INT64, [4], shape) for name, shape in ints.items()]
    constants.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [WIDTH**-0.5]))
    nodes = [
        node("Reshape", ["query", "by_group"], ["q1"]), node("Transpose", ["key"], ["k1"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q1", "k1"], ["s1"]), node("Reshape", ["s1", "by_head"], ["s2"]), node("Mul", ["s2", "scale"], ["s3"]),
        node("Add", ["s3", "bias"], ["s4"]), node("Softmax", ["s4"], ["p1"], axis=-1),
        node("Reshape", ["p1", "pattern_by_group"], ["p2"]), node("MatMul", ["p2", "value"], ["m1"]),
        node("Reshape", ["m1", "mixed_by_head"], ["mixed"]),
    ]
    return model(nodes, constants)


def fused():
    return model([helper.make_node("Attention", ["query", "key", "value", "bias"], ["mixed"], scale=WIDTH**-0.5)])


def session(graph, provider, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if provider == "cpu":
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    # A node that the provider has no kernel for is an error, never a run on the processor.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if "webgpu" in device.ep_name.lower()]
    options.add_provider_for_devices(devices[:1], {})
    return ort.InferenceSession(graph, options)


def inputs(batch, positions):
    draw = np.random.default_rng(20250909)
    numbers = lambda *shape: draw.standard_normal(shape, dtype=np.float32)
    seen = np.tril(np.ones((positions, positions), dtype=bool))
    # A masked token is seen by nobody but itself: the masks of waiting tokens.
    seen[:, : positions // 2] &= np.eye(positions, dtype=bool)[:, : positions // 2]
    bias = np.where(seen, 0.0, np.finfo(np.float32).min).astype(np.float32)
    return {
        "query": numbers(batch, HEADS, positions, WIDTH), "key": numbers(batch, KV, positions, WIDTH),
        "value": numbers(batch, KV, positions, WIDTH), "bias": np.broadcast_to(bias, (batch, 1, positions, positions)).copy(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", choices=["cpu", "webgpu"], default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--positions", type=lambda text: [int(part) for part in text.split(",")], default=[6, 12, 24, 96])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    arguments = parser.parse_args()
    if arguments.provider == "webgpu":
        import onnxruntime_ep_webgpu as plugin

        ort.register_execution_provider_library("webgpu", plugin.get_library_path())
    ways = {"plain": session(plain(), arguments.provider, arguments.threads)}
    try:
        ways["fused"] = session(fused(), arguments.provider, arguments.threads)
    except Exception as error:  # The runtime's errors have no common class but this one.
        raise SystemExit(f"{arguments.provider}: Attention does not run: {str(error).splitlines()[0]}")
    for positions in arguments.positions:
        feeds = inputs(arguments.batch, positions)
        said = [way.run(None, feeds)[0] for way in ways.values()]
        apart = float(np.abs(said[0] - said[1]).max())
        if not apart <= TOLERANCE:
            raise SystemExit(f"{positions} positions: the two differ by {apart}, more than {TOLERANCE}")
        times = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                begin = time.perf_counter()
                way.run(None, feeds)
                times[name].append(time.perf_counter() - begin)
        medians = {name: statistics.median(found) for name, found in times.items()}
        ratio = medians["plain"] / medians["fused"]
        print(f"{arguments.provider}, {arguments.batch} prompts of {positions}: plain {medians['plain'] * 1e3:.2f} ms, "
              f"fused {medians['fused'] * 1e3:.2f} ms, {ratio:.2f} x as fast, apart by {apart:.1g}")


if __name__ == "__main__":
    main()
