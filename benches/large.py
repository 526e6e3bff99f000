#!/usr/bin/env python3
"""Runs a model of the shape of Llama-3-8B with random weights in bf16 and a small vocabulary, and says what that costs.

    python3 benches/large.py FOLDER [--layers 32] [--program target/release/af1]      (needs numpy, and 14 GB in FOLDER)

Everything is what a real model of that size would need but the unembedding: hashing, export, sessions, two sets of prompts under AF1
with three ablations. The second set costs more only by its prompts. Memory that a process has for itself is told from that which it
shares with the files that it maps.
"""

import argparse
import json
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

VOCAB, D, HEADS, KV, D_HEAD, MLP = 110, 4096, 32, 8, 128, 14336
BLOCK = 1 << 24
TOKENIZER = Path(__file__).parents[1] / "fixtures/reference/tiny-llama/f32"


def shapes(layers):
    yield "model.embed_tokens.weight", (VOCAB, D)
    for layer in range(layers):
        of = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{of}{name}.weight", (D,)
        for name, rows in (("q", HEADS * D_HEAD), ("k", KV * D_HEAD), ("v", KV * D_HEAD)):
            yield f"{of}self_attn.{name}_proj.weight", (rows, D)
        yield f"{of}self_attn.o_proj.weight", (D, HEADS * D_HEAD)
        for name, shape in (("gate", (MLP, D)), ("up", (MLP, D)), ("down", (D, MLP))):
            yield f"{of}mlp.{name}_proj.weight", shape
    yield "model.norm.weight", (D,)
    yield "lm_head.weight", (VOCAB, D)


def make(folder, layers):
    header, at = {}, 0
    for name, shape in shapes(layers):
        end = at + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # As f32 cut off after 16 bits; large matrices repeat a block.
    noise = np.random.default_rng(0).standard_normal(BLOCK, dtype=np.float32) / 64
    noise = (noise.view(np.uint32) >> 16).astype(np.uint16)
    one = np.array([1], dtype=np.float32).view(np.uint32) >> 16
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for i, (_, shape) in enumerate(shapes(layers)):
            values = np.roll(noise, 7919 * i) if len(shape) == 2 else one.astype(np.uint16)
            file.write(np.resize(values, int(np.prod(shape))).tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": D, "intermediate_size": MLP,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KV, "vocab_size": VOCAB,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "bos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / name, folder)


def measured(command):
    """The output of a command, its seconds, and its most memory in GB: all, and its own."""
    begin, memory = time.time(), [0, 0]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            continue
        found = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
        for i, field in enumerate(("VmHWM", "RssAnon")):
            memory[i] = max(memory[i], int(found.get(field, 0)))
        time.sleep(0.02)
    reader.join()
    assert process.returncode == 0, command
    return output[0], time.time() - begin, [kilobytes / 1e6 for kilobytes in memory]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--program", default="target/release/af1")
    args = parser.parse_args()
    make(args.folder, args.layers)
    model = ["--model", str(args.folder)]
    for what, command in (
        ("first look, with hashing", ["inspect", *model, "--style", "symbolic"]),
        ("second look", ["inspect", *model, "--style", "symbolic"]),
        ("export of two layers", ["export", *model, "--from", "1", "--to", "3", "--out", str(args.folder)]),
    ):
        _, seconds, (whole, own) = measured([args.program, *command])
        print(f"{what}: {seconds:.1f} s, {own:.2f} GB of its own, {whole:.2f} GB with mapped files", flush=True)
    half = str(args.layers // 2)
    cost = {}
    for most in ("9", "19"):
        run = ["run", *model, "--style", "symbolic", "--operation", "A+B", "--operands", f"0..={most}"]
        run += ["--results", f"0..={most}", "--wait", half, "--transfer", "2", "--format", "json"]
        output, seconds, (whole, own) = measured([args.program, *run])
        rows = [json.loads(line) for line in output.splitlines()]
        assert len(rows) == 3 and all(row["provenance"]["mapped_weights"] for row in rows), output
        prompts = rows[0]["prompts"]
        cost[prompts] = seconds
        print(f"{prompts} prompts, AF1({half}, 2): {seconds:.1f} s, {own:.2f} GB of its own, {whole:.2f} GB with mapped files", flush=True)
    (few, short), (many, long) = cost.items()
    print(f"{(long - short) / (many - few):.2f} s a prompt: the unmodified model and AF1 with three ablations")


if __name__ == "__main__":
    main()
