"""One task of the comparison, in another tool, the way its documentation shows it. Prints one JSON object as main.rs does.

    python peers.py TOOL TASK MODEL_FOLDER [--cells "W,K W,K ..."]

TOOL is transformer-lens, transformers or nnsight. The model is a Hugging Face folder in f32. See METHODOLOGY.md.
"""

import argparse
import json
import resource
import statistics
import time
from collections import defaultdict

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

AF1 = (20, 6)
PREFIX = "1 + 1 = 2\n5 + 3 = 8\n2 + 7 = 9\n4 + 0 = 4\n"
LONG_ENOUGH = 4.0
BOS = 0


def prompts(task, tokenizer):
    pairs = [(a, b) for a in range(10) for b in range(10) if a + b < 10]
    style = PREFIX + "{} + {} = " if task.endswith("-fewshot") else "{}+{}="
    encode = lambda text: [BOS] + tokenizer.encode(text, add_special_tokens=False)
    ids = torch.tensor([encode(style.format(a, b)) for a, b in pairs])
    return ids, [str(a + b) for a, b in pairs]


def means(resid, ids):
    """CAMA, plug-in: the mean over prompts with the same token at the same position; position 0 stays."""
    groups = defaultdict(list)
    for row in range(ids.shape[0]):
        for pos in range(1, ids.shape[1]):
            groups[pos, int(ids[row, pos])].append(row)
    replaced = resid.clone()
    for (pos, _), rows in groups.items():
        replaced[rows, pos] = resid[rows, pos].mean(0)
    return replaced, len(groups)


def masks(layers, wait, transfer, pos):
    """Additive masks [1, 1, q, k] of the layers from `wait` on."""
    alone = torch.eye(pos, dtype=torch.bool)
    alone[:, 0] = True
    peek = alone.clone()
    peek[-1] = True
    bias = lambda seen: torch.zeros(pos, pos).masked_fill(~seen, -1e9)[None, None]
    return {l: bias(peek if l < wait + transfer else alone) for l in range(wait, layers)}


class Transformers:
    """Plain transformers with PyTorch's hooks."""

    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.blocks = self.model.model.layers
        self.layers = len(self.blocks)

    def base(self, ids):
        return self.model(ids, logits_to_keep=1).logits[:, -1]

    def capture(self, ids, layer):
        found = {}

        def keep(_, args, kwargs):
            found["resid"] = args[0] if args else kwargs["hidden_states"]

        if layer == self.layers:
            handle = self.model.model.norm.register_forward_pre_hook(keep, with_kwargs=True)
        else:
            handle = self.blocks[layer].register_forward_pre_hook(keep, with_kwargs=True)
        self.model(ids, logits_to_keep=1)
        handle.remove()
        return found["resid"]

    def af1(self, ids, wait, replaced, biases):
        handles = []

        def replace(_, args, kwargs):
            if args:
                return (replaced, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": replaced}

        def mask(bias):
            return lambda _, args, kwargs: (args, {**kwargs, "attention_mask": bias})

        target = self.model.model.norm if wait == self.layers else self.blocks[wait]
        handles.append(target.register_forward_pre_hook(replace, with_kwargs=True))
        for layer, bias in biases.items():
            handles.append(self.blocks[layer].register_forward_pre_hook(mask(bias), with_kwargs=True))
        logits = self.base(ids)
        for handle in handles:
            handle.remove()
        return logits


class TransformerLens:
    """TransformerLens with `run_with_hooks`, as the authors' demo does."""

    def __init__(self, folder):
        from transformer_lens.model_bridge import TransformerBridge

        self.model = TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float32)
        self.layers = self.model.cfg.n_layers

    def base(self, ids):
        return self.model(ids, return_type="logits")[:, -1]

    def name(self, layer):
        return f"blocks.{layer}.hook_resid_pre" if layer < self.layers else f"blocks.{layer - 1}.hook_resid_post"

    def capture(self, ids, layer):
        name = self.name(layer)
        _, cache = self.model.run_with_cache(ids, names_filter=name, return_type=None)
        return cache[name]

    def af1(self, ids, wait, replaced, biases):
        hooks = [(self.name(wait), lambda resid, hook: replaced)]
        for layer, bias in biases.items():
            hooks.append((f"blocks.{layer}.attn.hook_attn_scores", lambda scores, hook, bias=bias: scores + bias))
        return self.model.run_with_hooks(ids, return_type="logits", fwd_hooks=hooks)[:, -1]


class Nnsight:
    """nnsight with `trace`."""

    def __init__(self, folder):
        from nnsight import LanguageModel

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model = LanguageModel(model, tokenizer=tokenizer)
        self.blocks = self.model.model.layers
        self.layers = len(model.model.layers)

    def base(self, ids):
        with self.model.trace(ids):
            logits = self.model.lm_head.output[:, -1].save()
        return logits

    def capture(self, ids, layer):
        target = self.model.model.norm if layer == self.layers else self.blocks[layer]
        with self.model.trace(ids):
            resid = target.input.save()
        return resid

    def af1(self, ids, wait, replaced, biases):
        with self.model.trace(ids):
            if wait == self.layers:
                self.model.model.norm.input = replaced
            for layer, bias in biases.items():
                if layer == wait:
                    self.blocks[layer].input = replaced
                args, kwargs = self.blocks[layer].inputs
                self.blocks[layer].inputs = (args, {**kwargs, "attention_mask": bias})
            logits = self.model.lm_head.output[:, -1].save()
        return logits


TOOLS = {"transformers": Transformers, "transformer-lens": TransformerLens, "nnsight": Nnsight}


def measure(task, least=3):
    """The median time, and what it counts; the same every time."""
    counts = task()
    begin, times = time.perf_counter(), []
    while len(times) < least or time.perf_counter() - begin < LONG_ENOUGH:
        start = time.perf_counter()
        assert task() == counts
        times.append(time.perf_counter() - start)
    return statistics.median(times), counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("task")
    parser.add_argument("folder")
    parser.add_argument("--cells", default="")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    tool = TOOLS[args.tool](args.folder)
    ids, answers = prompts(args.task, tokenizer)

    def right(logits):
        found = [tokenizer.decode([token]).strip() for token in logits.argmax(-1).tolist()]
        return sum(a == b for a, b in zip(found, answers))

    def subgraph(wait, transfer):
        replaced, _ = means(tool.capture(ids, wait), ids)
        biases = masks(tool.layers, wait, transfer, ids.shape[1])
        return lambda: [right(tool.af1(ids, wait, replaced, biases))]

    kind, runs = args.task.rsplit("-", 1)[0], 1
    if kind in ("forward", "base"):
        seconds, counts = measure(lambda: [right(tool.base(ids))])
    elif kind == "capture":
        seconds, counts = measure(lambda: [means(tool.capture(ids, AF1[0]), ids)[1]])
    elif kind == "af1":
        seconds, counts = measure(subgraph(*AF1))
    elif kind == "grid":
        # Every cell costs the same here: some of them stand for all.
        cells = [tuple(map(int, cell.split(","))) for cell in args.cells.split()]
        ready = [subgraph(*cell) for cell in cells]
        seconds, counts = measure(lambda: [ready_cell()[0] for ready_cell in ready], least=1)
        runs = len(cells)
    else:
        raise SystemExit(f"no task is called {args.task!r}")
    print(
        json.dumps(
            {
                "task": args.task,
                "tool": args.tool,
                "prompts_per_second": len(answers) * runs / seconds,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "counts": counts,
            }
        )
    )


main()
