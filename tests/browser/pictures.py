"""Takes the pictures of a page that stand in docs/: the first screen of a wide window, of a narrow one and of a dark one, and the
prompts behind a mark.

Usage: python3 tests/browser/pictures.py [--model NAME] AF1 FOLDER

Runs the program AF1 on the model (by default the built-in one that comes first), makes the page of what it recorded and opens it in
Chromium. Writes page-wide.png, page-narrow.png, page-dark.png and page-prompts.png to FOLDER, none of which is larger than 200 kB.
It takes some minutes, most of them for the model.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser import Browser

# What is asked of the model: the page has an answer, a curve, a map and the layers that are needed.
ASKED = (
    "run",
    "waiting --wait 0,4,8,12,14,15,16,17,18,20,24",
    "transfer --wait 12..=18 --transfer 0..=3 --ablation cama",
    "necessity",
)
TEMPLATE = "--style calculate --operation A+B"
MOST_BYTES = 200_000

# The part of the page with the waiting curve, after a click on the first mark at which many prompts break.
CLICK = """
(() => {
  const marks = [...document.querySelectorAll('.values rect[data-prompts]')].filter(m => /^W = 1[67], cama/.test(m.textContent));
  const mark = marks[0] ?? document.querySelector('.values rect[data-prompts]');
  if (!mark) return null;
  mark.dispatchEvent(new MouseEvent('click', {bubbles: true}));
  const box = mark.closest('figure').getBoundingClientRect();
  return {x: Math.max(0, box.x - 10), y: box.y + scrollY, width: Math.min(box.width, 1000), height: Math.min(box.height, 800)};
})()
"""


def record(program, model, folder):
    """What the program records, and what was said to every prompt."""
    records, answers = folder / "record.jsonl", []
    for i, verb in enumerate(ASKED):
        answers.append(folder / f"answers-{i}.jsonl")
        words = [program, *verb.split(), *TEMPLATE.split(), *(["--model", model] if model else [])]
        subprocess.run([*words, "--record", records, "--answers", answers[-1]], check=True, stdout=subprocess.DEVNULL)
    page = folder / "page.html"
    named = [word for path in answers for word in ("--answers", path)]
    subprocess.run([program, "report", records, *named, "--format", "html", "--out", page], check=True)
    return page


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", metavar="AF1")
    arguments.add_argument("folder", metavar="FOLDER", type=Path)
    arguments.add_argument("--model")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = record(given.program, given.model, Path(folder))
        browser = Browser(Path(folder) / "profile")
        written = []

        def take(name, clip):
            written.append(given.folder / f"page-{name}.png")
            browser.picture(written[-1], clip)

        for name, width, height, scheme in (("wide", 1400, 900, "light"), ("narrow", 400, 800, "light"), ("dark", 1400, 900, "dark")):
            browser.open(page.as_uri())
            browser.size(width, height)
            browser.scheme(scheme)
            time.sleep(0.3)
            take(name, {"x": 0, "y": 0, "width": width, "height": height})
        browser.scheme("light")
        clip = browser.evaluate(CLICK)
        if clip:
            take("prompts", clip)
        browser.close()
    large = [path for path in written if path.stat().st_size > MOST_BYTES]
    sys.exit(f"larger than {MOST_BYTES} bytes: {large}" if large else 0)


if __name__ == "__main__":
    main()
