"""Makes the committed corpora from the fixtures and from records of the program that is given: python3 fuzz/seeds.py target/release/af1"""

import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"

EXPRESSIONS = ["A+B", "A-B+C", "A*B-C/D", "(A+B)%7", "-A+(B-C)*2", "months[(A+B)%12]", "A%B", "9223372036854775807-A", "((((A))))", "A+A*A"]
CHAT = {
    "plain": "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}\n{% endfor %}<|assistant|>\n",
    "loop": "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}{{ messages[0].content }}",
    "macro": "{% macro say(x) %}{{ x | trim | upper }}{% endmacro %}{{ say(messages[0]['content']) }}:",
    "filters": "{{ messages | tojson(indent=2) }}{{ strftime_now('%d %b %Y') }}{{ messages[-1]['content'].split('+')[0] ~ '=' }}",
    "raise": "{% if messages|length > 1 %}{{ raise_exception('one only') }}{% endif %}{{- messages[0]['content'] -}} is",
    "set": "{% set ns = namespace(n=0) %}{% for m in messages if m['role'] == 'user' %}{% set ns.n = ns.n + 1 %}{{ m.content }}{% endfor %}{{ ns.n * 'x' }}",
}
HUB = ["owner/name", "owner/name@revision", "meta-llama/Llama-3.1-8B", "../name", "a/..", "a/b.gguf", "a/b@../../main", "a/b/c"]
RUNS = [
    "run --masking abp,no-sink", "waiting --wait 0,3", "transfer --wait 2 --transfer 0,2 --ablation cama,zero", "necessity", "heads --controls 1",
    "attention", "patch --change A --pairs 4 --layer 0,8", "lens --layer 0,8", "peek --window 2", "stability --draws 2", "discover",
    "contexts --numbers 1 --draws 1", "windows --transfer-at 2 --controls 1 --head-controls 1",
]


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """A field of a protobuf message: a number, a text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def port(name, kind, axes):
    dims = b"".join(field(1, field(1 if isinstance(axis, int) else 2, axis)) for axis in axes)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def node(op, inputs, outputs, attributes=b""):
    return b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, f"n {outputs[0]}") + field(4, op) + attributes


def contract():
    """The smallest graph of one layer that keeps the contract, with a weight inside and one in a file."""
    graph = b"".join(field(1, n) for n in [
        node("Gather", ["embed", "input_ids"], ["resid.0"]),
        node("Shape", ["input_ids"], ["shape"]),
        node("MatMul", ["resid.0", "w"], ["q"]),
        node("Cast", ["position_ids"], ["p"], field(5, field(1, "to") + field(3, 1) + field(20, 2))),
        node("Unsqueeze", ["p", "axis"], ["p1"]),
        node("Add", ["q", "p1"], ["q1"]),
        node("Add", ["q1", "attn_bias.0"], ["s"]),
        node("Identity", ["s"], ["s1"]),
        node("Add", ["resid.0", "s1"], ["resid.1"]),
        node("Gather", ["resid.1", "last"], ["x"]),
        node("MatMul", ["x", "w"], ["logits"]),
    ])
    tensor = lambda name, kind, dims, rest: b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) + rest
    entry = lambda key, value: field(13, field(1, key) + field(2, value))
    outside = entry("location", "weights.data") + entry("offset", "0") + entry("length", "64") + field(14, 1)
    graph += field(2, "small")
    graph += field(5, tensor("embed", 1, [4, 4], outside)) + field(5, tensor("w", 1, [4, 4], field(9, bytes(64))))
    graph += field(5, tensor("axis", 7, [1], field(9, struct.pack("<q", 2)))) + field(5, tensor("last", 7, [], field(9, struct.pack("<q", -1))))
    for name, kind, axes in [("input_ids", 7, ["batch", "pos"]), ("position_ids", 7, ["batch", "pos"]), ("attn_bias.0", 1, ["b", "h", "q", "k"])]:
        graph += field(11, port(name, kind, axes))
    graph += field(12, port("logits", 1, ["batch", 4]))
    for name in ["resid.0", "resid.1"]:
        graph += field(13, port(name, 1, ["batch", "pos", 4]))
    return field(1, 10) + field(2, "seeds") + field(7, graph) + field(8, field(2, 21))


def gguf_head(file):
    """What stands before the weights of a GGUF file: they begin behind the directory, at the next multiple of 32."""
    data = file.read_bytes()
    at = 8
    tensors, entries = struct.unpack_from("<QQ", data, at)
    at += 16

    def text(at):
        (length,) = struct.unpack_from("<Q", data, at)
        return at + 8 + length

    def value(kind, at):
        if kind == 8:
            return text(at)
        if kind == 9:
            kind, length = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(length):
                at = value(kind, at)
            return at
        return at + [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][kind]

    for _ in range(entries):
        at = text(at)
        at = value(struct.unpack_from("<I", data, at)[0], at + 4)
    for _ in range(tensors):
        at = text(at)
        at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
    return data[:at]


def models():
    for folder in sorted((FIXTURES / "reference/tiny-families").glob("*/")):
        weights = (folder / "model.safetensors").read_bytes()
        header = weights[8 : 8 + struct.unpack("<Q", weights[:8])[0]].rstrip()
        parts = [json.dumps(json.loads((folder / "config.json").read_text())).encode(), header, (folder / "tokenizer_config.json").read_bytes()]
        write("folder", folder.name, b"\xff".join(parts))
    for name in ["llama", "qwen2", "gpt2", "gemma3-q4_k_m"]:
        write("gguf_model", name, gguf_head(FIXTURES / f"reference/tiny-gguf/{name}.gguf"))
    small = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    text = lambda word: struct.pack("<Q", len(word)) + word
    small += text(b"general.alignment") + struct.pack("<II", 4, 32) + text(b"list") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
    small += text(b"t") + struct.pack("<IQQIQ", 2, 32, 1, 2, 0)
    write("gguf", "small", small + bytes(-len(small) % 32) + bytes(18))
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}}'
    write("safetensors", "small", struct.pack("<Q", len(header)) + header + bytes(4))
    write("index", "one", '{"metadata":{"total_size":4},"weight_map":{"w":"a.safetensors"}}')
    write("onnx", "contract", contract())
    write("onnx", "counting", (FIXTURES / "foreign/counting.onnx").read_bytes())
    for name in ["counting", "gpt2-shaped"]:
        write("manifest", name, (FIXTURES / f"foreign/{name}.toml").read_text())
    tokenizers = [*(FIXTURES / "tokenizers").glob("*.json"), FIXTURES / "foreign/tokenizer.json", FIXTURES / "reference/sentencepiece.json"]
    for file in sorted(tokenizers):
        if file.stat().st_size < 3000 and "model" in json.loads(file.read_text()):
            write("tokenizer", file.stem, json.dumps(json.loads(file.read_text())))


def records(af1):
    for file in sorted((FIXTURES / "records/schema-2").glob("*.jsonl")):
        lines = [line for line in file.read_text().splitlines(keepends=True) if len(line) < 4000]
        write("record", f"schema-2-{file.stem}", "".join(lines[:2]))
    with tempfile.TemporaryDirectory() as folder:
        for run in RUNS:
            record, answers = f"{folder}/record.jsonl", f"{folder}/answers.jsonl"
            words = [af1, *run.split(), "--model", "planted-af1", "--style", "symbolic", "--operation", "A+B", "--operands", "0..=5", "--record", record]
            if run.startswith("waiting"):
                words += ["--answers", answers]
                subprocess.run(words, check=True, capture_output=True)
                write("answers", "lines", "".join(pathlib.Path(answers).read_text().splitlines(keepends=True)[:3]))
            else:
                subprocess.run(words, check=True, capture_output=True)
            lines = pathlib.Path(record).read_text().splitlines(keepends=True)
            write("record", run.split()[0], "".join([*lines[:2], *lines[-1:]][:3]))
            pathlib.Path(record).unlink()


def main():
    shutil.rmtree(HERE / "corpus", ignore_errors=True)
    for i, text in enumerate(EXPRESSIONS):
        write("expression", str(i), text)
    for name, text in CHAT.items():
        write("chat", name, text)
    for i, text in enumerate(HUB):
        write("hub", str(i), text)
    for target, files in [("styles", "styles/*.toml"), ("gate", "gate/*.toml"), ("study", "study/*.toml"), ("claims", "claims/planted.toml")]:
        for file in sorted(FIXTURES.glob(files)):
            write(target, file.stem, file.read_text())
    write("prompts", "json", '{"text": "3+4=", "A": 3, "B": "4", "answer": 7}\n{"A": 1, "B": 2}\n')
    write("prompts", "csv", 'text,A,B,answer\n"3+4=",3,4,7\n,1,2,\n')
    digest = "0" * 64
    write("cache", "entry", json.dumps({"version": 1, "files": {"model.gguf": {"bytes": 7, "sha256": digest, "modified": 1}}}))
    models()
    records(sys.argv[1])


main()
