"""Pages of many prompts, and of two runs."""

import json
import subprocess
import sys
import time

from acts import rules
from looks import STRUCTURE

PROMPTS = 100_000
MOST_BYTES = 5_000_000
MOST_SECONDS = 1.0


def enlarged(rows):
    """Lines about as many prompts, with answers that follow from their number."""
    lines = []
    some = [row for row in rows if row.get("experiment") in ("waiting", "transfer", "af1") and (row.get("style"), row.get("operation")) == ("symbolic", "A+B") and "answers" in row]
    hexed = lambda right: "".join(f"{int(''.join('01'[right(i + j)] for j in range(4)), 2):x}" for i in range(0, PROMPTS, 4))
    operands = [[i // 1000, i % 1000] for i in range(PROMPTS)]
    every = [hexed(lambda i: True)] + [hexed(lambda i, n=n: i % n != 0) for n in range(2, 12)]
    for at, row in enumerate(some):
        n = at % 10 + 2
        right = PROMPTS - (PROMPTS + n - 1) // n
        row = {**row, "prompts": PROMPTS, "base_correct": PROMPTS, "correct": right, "correct_given_base": right, "lost": PROMPTS - right, "gained": 0}
        row |= {"all_prompts": PROMPTS, "all_base_correct": PROMPTS, "base_answers": every[0], "answers": every[n - 1], "prompts_sha256": "0" * 64}
        row |= {"accuracy": right / PROMPTS, "faithfulness": right / PROMPTS, "strata": []} if "strata" in row else {"accuracy": right / PROMPTS, "faithfulness": right / PROMPTS}
        if row.get("empty_answers") is not None:
            row |= {"empty_answers": every[1], "empty_correct": PROMPTS // 2}
        if row.get("evaluated_operands") is not None:
            row["evaluated_operands"] = operands
        lines.append(json.dumps(row))
    return lines


def report(program, out, *words):
    done = subprocess.run([program, "report", *map(str, words), "--format", "html", "--out", str(out)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} report ends with {done.returncode}: {done.stderr}")


def large(browser, program, given, folder):
    """A page about 100,000 prompts is small and opens quickly."""
    rows = [json.loads(line) for path in given for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    record, page = folder / "large.jsonl", folder / "large.html"
    record.write_text("\n".join(enlarged(rows)) + "\n", encoding="utf-8")
    begun = time.monotonic()
    report(program, page, record)
    made = time.monotonic() - begun
    browser.open(page.as_uri())
    timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    seconds = min(browser.open(page.as_uri()) and browser.evaluate(timing) for _ in range(3)) / 1000
    size = page.stat().st_size
    cells = sum(1 for _ in record.open(encoding="utf-8"))
    print(f"{PROMPTS} prompts in {cells} cells: made in {made:.1f} s, {size / 1e6:.2f} MB, open after {seconds:.2f} s")
    wrong = [f"the page is {size} bytes"] if size >= MOST_BYTES else []
    return wrong + ([f"the page opens after {seconds} s"] if seconds >= MOST_SECONDS else [])


def compared(browser, program, given, folder, axe):
    """Two runs beside each other are the same kind of page."""
    page = folder / "against.html"
    report(program, page, *given, "--against", *given)
    wrong = []
    for event in browser.open(page.as_uri()):
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            wrong.append(f"console: {json.dumps(event['params'])[:300]}")
    wrong += browser.evaluate(STRUCTURE)
    browser.size(400, 800)
    if browser.evaluate("document.documentElement.scrollWidth") > 400:
        wrong.append("it does not fit a narrow screen")
    if browser.evaluate("document.querySelectorAll('.card').length") == 0:
        wrong.append("it has no cards")
    browser.size(1280, 900)
    wrong += rules(browser, axe, "compared") if axe else []
    return [f"two runs: {what}" for what in wrong]
