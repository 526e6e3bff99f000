"""Opens a page of `af1 report --format html` in a browser and compares it with the records that it was made of.

Usage: python3 tests/browser/run.py [--out FOLDER] [--tampered] [--axe AXE.js] [--af1 PROGRAM] PAGE.html RECORDS.jsonl...

Checks that the browser reports no error, asks for nothing from elsewhere and runs nothing but the page's own script, that every
number of the records is on the page (exactly, as an attribute, and rounded, as it is read), that no label of a picture is cut off
or covers another, that every picture and table has a name, that the verdicts are on the first screen of a wide window and of a
narrow one, that nothing scrolls sideways there but boxes of their own, that filters, sorting, values and the prompts behind marks
work with the keyboard, and that without a script everything is there. With --axe the rules of axe-core (npm package axe-core) are
asked, too; with --af1 the program also makes a page of 100,000 prompts, which must be small and open quickly, and a comparison.
Writes pictures of the page to FOLDER: light, dark, narrow, and as it is printed. Ends with 1 where something is wrong. With
--tampered the page is also changed in several ways, each of which must be found.

Needs Chromium (as `chromium`, or where AF1_CHROMIUM says) and nothing else: the browser is talked to over a pipe.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

from acts import interactions
from browser import Browser
from looks import check
from records import expected
from runs import compared, large


def pictures(browser, folder):
    """What the page looks like: as it is, every figure by itself, and printed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, width, scheme in (("light", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 400, "light")):
        browser.size(width, 900)
        browser.scheme(scheme)
        height = browser.evaluate("document.documentElement.scrollHeight")
        # A browser draws no picture higher than this.
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000)}
        browser.picture(folder / f"{name}.png", clip)
        boxes = browser.evaluate(
            "[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect()).map(b =>"
            " ({x: b.x, y: b.y + scrollY, width: b.width, height: b.height}))"
        )
        for i, box in enumerate(boxes):
            browser.picture(folder / f"{name}-{i:02}.png", box)
    browser.size(1280, 900)
    browser.scheme("light")
    data = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    (folder / "print.pdf").write_bytes(base64.b64decode(data))


UNNAMED = "a figure without a name"


def tampered(text):
    """The page with mistakes: what each is, and the page."""

    def instead(pattern, replacement):
        changed = re.sub(pattern, replacement, text, count=1)
        if changed == text:
            sys.exit(f"the page has nothing like {pattern}")
        return changed

    number = r'(data-field="faithfulness" data-value="[^"]*)"'
    yield "another value", instead(number, r'\g<1>1"')
    yield "another text", instead(r'(data-field="accuracy"[^>]*>)\d+', r"\g<1>7777")
    yield "a cell is missing", instead(r'<td[^>]*data-field="accuracy".*?</td>', "<td></td>")
    yield "a picture from elsewhere", instead("</main>", '<img alt="x" src="https://example.org/x.png"></main>')
    yield "a script", instead("</main>", '<script>console.error("x")</script></main>')
    yield "a style", instead("<main>", '<main style="color: red">')
    yield "a laxer policy", instead("script-src '", "script-src 'unsafe-inline' '")
    yield "another script", instead("'use strict';", "'use strict'; 1;")
    yield UNNAMED, instead(r'<svg role="img" aria-label="[^"]*"([^>]*)><title>.*?</title>', r'<svg role="img" aria-label=""\1>')
    yield "a cut label", instead(r'<text x="\d+"([^>]*text-anchor="end")', r'<text x="-40"\1')
    style = re.search("<style>(.*?)</style>", text, flags=re.DOTALL).group(1)
    pale = style.replace("--ink: #1a1a1a", "--ink: #ddd", 1)
    due = [base64.b64encode(hashlib.sha256(of.encode()).digest()).decode() for of in (style, pale)]
    yield "pale text", text.replace(style, pale).replace(*due)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("page", type=Path)
    arguments.add_argument("records", type=Path, nargs="+")
    arguments.add_argument("--out", type=Path, help="folder for pictures of the page")
    arguments.add_argument("--tampered", action="store_true", help="also check that mistakes would be found")
    arguments.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core, whose rules are asked")
    arguments.add_argument("--af1", help="the program, for a page of many prompts and for one of two runs")
    given = arguments.parse_args()
    lines = [line for path in given.records for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    # Numbers stay the texts that they are.
    rows = [json.loads(line, parse_int=str, parse_float=str) for line in lines]
    values = expected(rows)
    axe = given.axe.read_text(encoding="utf-8") if given.axe else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(Path(folder) / "profile")
        wrong, numbers, count = check(browser, given.page, values)
        wrong += interactions(browser, given.page, rows, axe)
        if given.af1:
            wrong += large(browser, given.af1, given.records, Path(folder)) + compared(browser, given.af1, given.records, Path(folder), axe)
        for what in wrong[:40]:
            print(f"WRONG: {what}")
        print(f"{numbers} numbers, {len(values)} in the records, {count} pictures: {len(wrong)} wrong")
        if given.out:
            pictures(browser, given.out)
        missed = []
        if given.tampered:
            for i, (what, text) in enumerate(tampered(given.page.read_text(encoding="utf-8"))):
                page = Path(folder) / f"tampered-{i}.html"
                page.write_text(text, encoding="utf-8")
                # What a screen reader finds takes longest.
                found, _, _ = check(browser, page, values, hears=what == UNNAMED)
                new = [finding for finding in found if finding not in wrong]
                print(f"{what}: " + (f"found ({new[0]})" if new else "NOT FOUND"))
                missed += [] if new else [what]
        browser.close()
    sys.exit(1 if wrong or missed else 0)


if __name__ == "__main__":
    main()
