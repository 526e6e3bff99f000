"""One task of the comparison, in another tool, the way its documentation shows it. Prints one JSON object as main.rs does.

    python peers.py TOOL TASK MODEL_FOLDER [--cells "W,K W,K ..."] [--largest N] [--means FILE]

TOOL is transformer-lens, transformers or nnsight. The model is a Hugging Face folder in f32. Two tasks are none of the comparison: `rates`
measures torch's products of matrices (--shapes), `means-digits` writes the file that --means names for the others. See METHODOLOGY.md.
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
# Of sums of two digits: the subgraph, the boundaries of the waiting sweep, and how many prompts are drawn.
AF1_DIGITS = (16, 1)
WAITS_DIGITS = [8, 16]
DRAWN = 81
PREFIX = "1 + 1 = 2\n5 + 3 = 8\n2 + 7 = 9\n4 + 0 = 4\n"
LONG_ENOUGH = 4.0
BOS = 0
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


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


class Digits:
    """`calculate` sums of numbers of two digits; no token in front, as Qwen's tokenizer has it."""

    def __init__(self, tokenizer, args, only_two_digits):
        self.tokenizer, self.device = tokenizer, args.device
        numbers = range(10, args.largest + 1)
        self.all = [(a, b) for a in numbers for b in numbers if not only_two_digits or a + b < 100]
        asked = [pair for pair in self.all if sum(pair) < 100]
        # As far from each other as can be.
        self.drawn = asked[:: -(-len(asked) // args.drawn)] if args.drawn else asked

    def ids(self, pairs, given=0):
        encode = lambda text: self.tokenizer.encode(text, add_special_tokens=False)
        rows = [encode(f"Calculate: {a} + {b} = ") + encode(str(a + b)[:given]) for a, b in pairs]
        return torch.tensor(rows)

    def right(self, logits, step):
        """Right answers at a step: the next digit, or behind the last one no digit."""
        said = [self.tokenizer.decode([token]).strip() for token in logits.argmax(-1).tolist()]
        wanted = [str(a + b)[step : step + 1] for a, b in self.drawn]
        return sum(text == digit if digit else not text[:1].isdigit() for text, digit in zip(said, wanted))

    def keys(self, row):
        """By position the tokens of its number so far, or the token."""
        digits = set(self.ids_of_digits())
        begin, keys = 0, []
        for pos, token in enumerate(row):
            begin = begin if token in digits and row[begin] in digits else pos
            keys.append((pos, tuple(row[begin : pos + 1])))
        return keys

    def ids_of_digits(self):
        return [self.tokenizer.encode(str(digit))[0] for digit in range(10)]

    def means(self, tool):
        """CAMA, plug-in, over all prompts: by boundary what replaces the residual stream of those that are drawn."""
        sums = {wait: defaultdict(lambda: [0, 0.0]) for wait in WAITS_DIGITS}
        kept, drawn = {wait: {} for wait in WAITS_DIGITS}, set(self.drawn)
        for begin in range(0, len(self.all), DRAWN):
            pairs = self.all[begin : begin + DRAWN]
            ids = self.ids(pairs)
            for wait, resid in tool.residuals(ids.to(self.device), WAITS_DIGITS).items():
                for pair, row, streams in zip(pairs, ids.tolist(), resid.double().cpu()):
                    for (pos, key), stream in zip(self.keys(row), streams):
                        total = sums[wait][pos, key]
                        total[0], total[1] = total[0] + 1, total[1] + stream
                    if pair in drawn:
                        kept[wait][pair] = streams
        replaced = {}
        for wait in WAITS_DIGITS:
            out = torch.stack([kept[wait][pair] for pair in self.drawn])
            for b, row in enumerate(self.ids(self.drawn).tolist()):
                for pos, key in self.keys(row)[1:]:
                    count, total = sums[wait][pos, key]
                    out[b, pos] = total / count
            replaced[wait] = out.float()
        return replaced


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

    def __init__(self, folder, device="cpu", dtype=torch.float32):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device)
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

    def base_and_capture(self, ids, layer):
        found = {}

        def keep(_, args, kwargs):
            found["resid"] = args[0] if args else kwargs["hidden_states"]

        handle = self.blocks[layer].register_forward_pre_hook(keep, with_kwargs=True)
        logits = self.base(ids)
        handle.remove()
        return logits, found["resid"]

    def residuals(self, ids, layers):
        """At several boundaries; no layer behind the last of them is run."""
        found, last = {}, max(layers)

        class Enough(Exception):
            pass

        def keep(layer):
            def hook(_, args, kwargs):
                found[layer] = args[0] if args else kwargs["hidden_states"]
                if layer == last:
                    raise Enough

            return hook

        handles = [self.blocks[layer].register_forward_pre_hook(keep(layer), with_kwargs=True) for layer in layers]
        try:
            self.model(ids)
        except Enough:
            pass
        for handle in handles:
            handle.remove()
        return found

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

    def base_and_capture(self, ids, layer):
        name = self.name(layer)
        logits, cache = self.model.run_with_cache(ids, names_filter=name, return_type="logits")
        return logits[:, -1], cache[name]

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

    def base_and_capture(self, ids, layer):
        with self.model.trace(ids):
            resid = self.blocks[layer].input.save()
            logits = self.model.lm_head.output[:, -1].save()
        return logits, resid

    def af1(self, ids, wait, replaced, biases):
        with self.model.trace(ids):
            if wait == self.layers:
                self.model.model.norm.input = replaced
            elif wait not in biases:
                self.blocks[wait].input = replaced
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


def finished(device):
    """Waits until a card has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def rates(shapes, device, dtype):
    """Billions of floating-point operations a second of products of matrices, as layers have them, by the median time."""
    found = {}
    for shape in shapes.split(" "):
        rows, inner, outer = map(int, shape.split("x"))
        x, weight = (torch.rand(shape, device=device, dtype=dtype) - 0.5 for shape in [(rows, inner), (outer, inner)])
        begin, times = time.perf_counter(), []
        while len(times) < 5 or time.perf_counter() - begin < 1:
            start = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            finished(device)
            times.append(time.perf_counter() - start)
        found[shape] = 2e-9 * rows * inner * outer / statistics.median(times)
    return {"task": "rates", "tool": "torch", "library": torch.__version__, "threads": torch.get_num_threads(), "rates": found}


def of_digits(args, tool, tokenizer):
    """The tasks on sums of two digits: prompts that are run each time, and what is measured."""
    kind = args.task.rsplit("-", 1)[0]
    digits = Digits(tokenizer, args, only_two_digits=kind != "steps")
    if kind == "means":
        torch.save(digits.means(tool), args.means)
        return None
    if kind == "steps":
        ids = [digits.ids(digits.drawn, step).to(args.device) for step in range(3)]
        right = lambda step: digits.right(tool.base_and_capture(ids[step], AF1_DIGITS[0])[0], step)
        return 3 * len(digits.drawn), lambda: [right(step) for step in range(3)]
    ids = digits.ids(digits.drawn).to(args.device)
    if kind == "forward":
        return len(ids), lambda: [digits.right(tool.base(ids), 0)]
    replaced = {wait: streams.to(args.device, DTYPES[args.dtype]) for wait, streams in torch.load(args.means).items()}
    if kind == "waiting":
        right = lambda wait: digits.right(tool.af1(ids, wait, replaced[wait], {}), 0)
        return len(ids) * len(WAITS_DIGITS), lambda: [right(wait) for wait in WAITS_DIGITS]
    if kind == "af1":
        wait, transfer = AF1_DIGITS
        biases = masks(tool.layers, wait, transfer, ids.shape[1])
        biases = {layer: bias.to(args.device, DTYPES[args.dtype]) for layer, bias in biases.items()}
        return len(ids), lambda: [digits.right(tool.af1(ids, wait, replaced[wait], biases), 0)]
    raise SystemExit(f"no task is called {args.task!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("task")
    parser.add_argument("folder")
    parser.add_argument("--cells", default="")
    parser.add_argument("--largest", type=int, default=0)
    parser.add_argument("--means", default="")
    parser.add_argument("--shapes", default="")
    # Of plain transformers: on a card, in another precision, with all prompts (0).
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32", choices=DTYPES)
    parser.add_argument("--drawn", type=int, default=DRAWN)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    if args.task == "rates":
        print(json.dumps(rates(args.shapes, args.device, DTYPES[args.dtype])))
        return
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    on_card = [args.device, DTYPES[args.dtype]] if args.device != "cpu" else []
    tool = TOOLS[args.tool](args.folder, *on_card)
    if args.task.endswith("-digits"):
        asked = of_digits(args, tool, tokenizer)
        if asked:
            # Every run takes some seconds.
            seconds, counts = measure(asked[1], least=1)
            report(args, asked[0] / seconds, counts)
        return
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
    report(args, len(answers) * runs / seconds, counts)


def report(args, prompts_per_second, counts):
    found = {
        "task": args.task,
        "tool": args.tool,
        "prompts_per_second": prompts_per_second,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "counts": counts,
    }
    print(json.dumps(found))


main()
