"""What records say, as a page should show it."""

import math
import re


def share(value, trials):
    text = f"{value:.{2 if trials < 200 else 3}f}"
    return text.removeprefix("0")


def proportion(successes, trials, value, low, high):
    if trials == 0:
        return "none to keep"
    return f"{successes}/{trials} {share(value, trials)} [{share(low, trials)}, {share(high, trials)}]"


def signed(value):
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def p_value(p):
    return "<.001" if p < 0.001 else f"{p:.3f}"


def interval(text, value, low, high):
    return text(value) if low is None or high is None else f"{text(value)} [{text(low)}, {text(high)}]"


def holm(ps):
    """Adjusted p values, in the order in which they came."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


def number(text):
    """A number that was kept as its text."""
    return None if text is None else float(text)


def same_number(a, b):
    """Whether two texts say the same double: programs write exponents differently."""
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def template(row):
    """The template in words, with the tokens of the numbers and the step of the answer where there are several."""
    shape, step = row.get("shape"), row.get("step", "0")
    single = shape is None or step == "0" and set(re.findall(r"\d+", shape)) == {"1"}
    of_answer = step if step == "whole" else f"step {step}"
    question = row["operation"] if single else f"{row['operation']} {shape} {of_answer}"
    return f"{row['style']} {question}"


def cell(row):
    """What tells a cell from all others."""
    return row["sweep"], template(row), row["cell"]


def expected(rows):
    """By sweep, template, cell and field: the text of the value, and how it is read. Numbers of `rows` are texts."""
    values = {}

    def put(row, field, value, shown):
        values[(*cell(row), field)] = ("null" if value is None else value, shown)

    for row in rows:
        if "error" in row or row["experiment"] in ("selfcheck", "gate"):
            continue
        if row["experiment"] == "attention":
            for name, weight in row["weights"].items():
                shown = interval(lambda x: f"{x:.2f}", *(number(weight[end]) for end in ("mean", "low", "high")))
                put(row, f"weights.{name}", weight["mean"], shown)
            continue
        if experiment_of_parts(row, put):
            continue
        count = lambda field: int(row[field])
        get = lambda field: number(row[field])
        ends = lambda field: (get(field), get(f"{field}_low"), get(f"{field}_high"))
        kept, base = count("correct_given_base"), count("base_correct")
        put(row, "faithfulness", row["faithfulness"], proportion(kept, base, *ends("faithfulness")))
        put(row, "accuracy", row["accuracy"], proportion(count("correct"), count("prompts"), *ends("accuracy")))
        experiment = row["experiment"]
        if experiment in ("waiting", "necessity", "heads", "alternatives", "contexts", "peek", "windows"):
            one = lambda x: f"{x:.1f}"
            shown = "" if row["logit_difference"] is None else interval(one, *ends("logit_difference"))
            put(row, "logit_difference", row["logit_difference"], shown)
            shown = "" if row["kl_divergence"] is None else f"{get('kl_divergence'):.2f}"
            put(row, "kl_divergence", row["kl_divergence"], shown)
            put(row, "median_rank", row["median_rank"], row["median_rank"] or "")
        if experiment in ("transfer", "af1", "discover"):
            value = get("normalised_faithfulness")
            shown = "" if value is None else f"{value:.2f}"
            put(row, "normalised_faithfulness", row["normalised_faithfulness"], shown)
            p = get("p_above_empty")
            put(row, "p_above_empty", row["p_above_empty"], "" if p is None else p_value(p))
        if experiment in ("transfer", "af1", "alternatives", "discover", "peek", "windows", "stability"):
            outcome = (row["verdict"] or {}).get("outcome")
            put(row, "verdict", outcome, "FAIL" if outcome == "fail" else outcome or "")
        if experiment == "alternatives" and row["paired"]:
            paired = row["paired"]
            field = "accuracy_difference"
            shown = interval(signed, *(number(paired[f"{field}{end}"]) for end in ("", "_low", "_high")))
            put(row, f"paired.{field}", paired[field], shown)
            put(row, "paired.p", paired["p"], p_value(float(paired["p"])))
    put_whole_answers([row for row in rows if "error" not in row], put)
    groups = {}
    for row in rows:
        if row["experiment"] == "alternatives" and row.get("paired"):
            groups.setdefault((row["sweep"], row["style"], row["operation"]), []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: [int(number) for number in row["order"]])
        for row, p in zip(group, holm([float(row["paired"]["p"]) for row in group])):
            # Computed here and there: equal but for the last digits.
            values[(*cell(row), "p_holm")] = (p, p_value(p))
    return values


def bits(text):
    """Right or wrong, prompt by prompt: hexadecimal digits, the first prompt in the highest bit."""
    return [bool(int(digit, 16) & 8 >> bit) for digit in text for bit in range(4)]


def tail(successes, trials, p):
    """The probability of so many successes or more."""
    log = lambda k: math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(p) + (trials - k) * math.log1p(-p)
    return sum(math.exp(log(k)) for k in range(successes, trials + 1))


def exact_interval(successes, trials, level):
    """The two-sided interval of Clopper and Pearson, to more digits than are shown."""

    def bound(at_least, chance):
        low, high = 0.0, 1.0
        for _ in range(60):
            p = (low + high) / 2
            low, high = (p, high) if tail(at_least, trials, p) < chance else (low, p)
        return low

    low = bound(successes, level / 2) if successes > 0 else 0.0
    return low, bound(successes + 1, 1 - level / 2) if successes < trials else 1.0


def put_whole_answers(rows, put):
    """Claims about whole answers of several tokens: no row has them, but the steps' rows say which prompts are right at every step."""
    answers = {}
    for row in rows:
        if row["experiment"] == "af1" and row.get("shape") and row["paired"] is None and row["inference"] == "prompts":
            key = (row["sweep"], row["style"], row["operation"], row["shape"], row["cell"])
            answers.setdefault(key, []).append(row)
    for steps in answers.values():
        # All steps are of the same prompts where all could be asked and none was excluded.
        if len(steps) < 2 or len({(row["prompts"], row["all_prompts"]) for row in steps}) > 1:
            continue
        count = int(steps[0]["prompts"])
        every = lambda field: [all(of) for of in zip(*(bits(row[field])[:count] for row in steps))]
        base, right = every("base_answers"), every("answers")
        kept, all_base = sum(b and r for b, r in zip(base, right)), sum(base)
        row = {**steps[0], "step": "whole"}
        if all_base == 0:
            put(row, "faithfulness", None, "none to keep")
            put(row, "verdict", "inconclusive", "inconclusive")
            continue
        low, high = exact_interval(kept, all_base, 0.05)
        put(row, "faithfulness", kept / all_base, proportion(kept, all_base, kept / all_base, low, high))
        claim = float(row["claim"])
        outcome = "pass" if low >= claim else "fail" if high < claim else "inconclusive"
        put(row, "verdict", outcome, "FAIL" if outcome == "fail" else outcome)


def experiment_of_parts(row, put):
    """Puts the numbers of a line about swapped residuals or about the lens; whether it is one."""
    two = lambda trials: (lambda x: share(x, trials))
    for position, found in row.get("patched", {}).items():
        for fate in ("moved", "stayed"):
            ends = [number(found[fate][end]) for end in ("value", "low", "high")]
            shown = "no pairs" if row["pairs"] == "0" else proportion(int(found[fate]["count"]), int(row["pairs"]), *ends)
            put(row, f"patched.{position}.{fate}.value", found[fate]["value"], shown)
    trials = int(row["prompts"]) if "lens" in row else 0
    for spot, found in row.get("lens", {}).items():
        for sought, stands in found.items():
            ends = lambda of, value: [number(stands[of][end]) for end in (value, "low", "high")]
            of = f"lens.{spot}.{sought}"
            first = proportion(int(stands["first"]["count"]), trials, *ends("first", "value"))
            put(row, f"{of}.first.value", stands["first"]["value"], first)
            put(row, f"{of}.probability.mean", stands["probability"]["mean"], interval(two(trials), *ends("probability", "mean")))
            put(row, f"{of}.rank.mean", stands["rank"]["mean"], interval(lambda x: f"{x:.1f}", *ends("rank", "mean")))
            put(row, f"{of}.median_rank", stands["median_rank"], stands["median_rank"] or "")
    return "patched" in row or "lens" in row
