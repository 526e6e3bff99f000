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
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 120  # seconds that the browser has for one answer


class Browser:
    """Chromium over the DevTools protocol on a pipe: messages of JSON, a zero byte after each."""

    def __init__(self, profile):
        program = os.environ.get("AF1_CHROMIUM") or shutil.which("chromium")
        if not program:
            sys.exit("no Chromium: install the package chromium, or say where it is in AF1_CHROMIUM")
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        # The browser reads file descriptor 3 and writes 4; the shell puts our ends there, whatever their numbers are.
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
            "--disable-background-networking", f"--user-data-dir={profile}", "about:blank",
        ]
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, program, *flags],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None

    def message(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_end], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.read_end, 1 << 20) if ready else b""
            if not chunk:
                sys.exit("the browser does not answer")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url, script=True):
        """Opens a page in a tab of its own, with its script or without; returns what happened until it was loaded."""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.events = []
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())
        time.sleep(0.3)  # what is asked for late
        self.evaluate("0")
        return [event for event in self.events if event.get("sessionId") == self.session]

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"in the page: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key):
        """Presses a key: Tab, Enter, ArrowRight, ..."""
        code = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}[key]
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path, clip=None):
        shown = {"clip": {**clip, "scale": 1}} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **shown)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        finally:
            self.process.wait(timeout=PATIENCE)


# --- what the records say, as the page should show it


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


def cell(row):
    """What tells a cell from all others."""
    return row["sweep"], f"{row['style']} {row['operation']}", row["cell"]


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


# --- what the page says

CELLS = """
[...document.querySelectorAll('[data-field]')].map(td => ({
  sweep: td.dataset.sweep, template: td.dataset.template, cell: td.dataset.cell, field: td.dataset.field, value: td.dataset.value,
  text: (td.tagName === 'TD' ? td.textContent : td.innerText).trim(),
}))
"""

# Labels that lie outside their picture, or on each other.
LABELS = """
(() => {
  const wrong = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect(), name = svg.getAttribute('aria-label');
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
    for (const [text, box] of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        wrong.push(`${name}: ${JSON.stringify(text)} is cut off`);
    }
    texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {
      const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (wide > 1 && high > 4) wrong.push(`${name}: ${JSON.stringify(a)} and ${JSON.stringify(b)} cover each other`);
    }));
  }
  return wrong;
})()
"""

STRUCTURE = """
(() => {
  const wrong = [], all = selector => [...document.querySelectorAll(selector)];
  if (!document.documentElement.lang) wrong.push('the page has no language');
  if (!document.querySelector('meta[name=viewport]')) wrong.push('the page has no viewport');
  if (all('h1').length !== 1) wrong.push('the page has not one h1');
  let before = 1;
  for (const h of all('h1, h2, h3, h4, h5, h6')) {
    const level = Number(h.tagName[1]);
    if (level > before + 1) wrong.push(`heading ${h.innerText} skips a level`);
    before = level;
  }
  for (const table of all('table')) {
    if (!table.caption || !table.caption.textContent.trim()) wrong.push('a table has no caption');
    for (const th of table.querySelectorAll('th')) if (!th.scope) wrong.push(`${th.textContent} has no scope`);
  }
  for (const figure of all('figure')) {
    if (!figure.querySelector('figcaption')) wrong.push('a figure has no caption');
    if (!figure.querySelector('svg')) wrong.push('a figure has no picture');
  }
  const ids = all('[id]').map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push('two elements have one id');
  for (const a of all('a[href^="#"]'))
    if (!document.getElementById(decodeURIComponent(a.getAttribute('href').slice(1)))) wrong.push(`${a.innerText} leads nowhere`);
  const policy = document.querySelector('meta[http-equiv=Content-Security-Policy]')?.content ?? '';
  if (!/^default-src 'none'; script-src 'sha256-[^ ;]*'; style-src 'sha256-[^ ;]*'; img-src data:/.test(policy) || policy.includes('unsafe'))
    wrong.push(`the policy of the page is ${policy}`);
  if (all('script:not([type])').length !== 1) wrong.push('the page has not one script');
  if (all('[style]').length) wrong.push('an element has a style of its own');
  return wrong;
})()
"""

# The contrast of a colour with the page, by element.
CONTRAST = """
(() => {
  const luminance = css => {
    const c = css.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * c[0] + .7152 * c[1] + .0722 * c[2];
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = css => (Math.max(page, luminance(css)) + .05) / (Math.min(page, luminance(css)) + .05);
  const wrong = new Set();
  for (const e of document.querySelectorAll('p, td, th, caption, figcaption, h1, h2, h3, a, .verdict'))
    if (contrast(getComputedStyle(e).color) < 4.5) wrong.add(`${e.tagName} ${e.className} in ${getComputedStyle(e).color}`);
  for (const e of document.querySelectorAll('svg text[fill="currentColor"]'))
    if (contrast(getComputedStyle(e).fill) < 4.5) wrong.add(`text of a picture in ${getComputedStyle(e).fill}`);
  return [page, [...wrong]];
})()
"""


def check(browser, page, values):
    """Opens the page; what is wrong with it."""
    wrong = []
    url = page.resolve().as_uri()
    for event in browser.open(url):
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            if asked != url and not asked.startswith("data:"):
                wrong.append(f"it asks for {asked}")
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            wrong.append(f"console: {json.dumps(params)[:300]}")
        elif method == "Log.entryAdded":
            wrong.append(f"console: {params['entry']['text']}")
    browser.size(1280, 900)
    shown = {}
    for td in browser.evaluate(CELLS):
        shown.setdefault((td["sweep"], td["template"], td["cell"], td["field"]), []).append((td["value"], td["text"]))
    for key, (value, text) in values.items():
        if key not in shown:
            wrong.append(f"{key} is not on the page")
        for found, read in shown.get(key, []):
            if isinstance(value, float):
                same = abs(float(found) - value) <= 1e-12 * max(1.0, abs(value))
            else:
                same = found == value or same_number(found, value)
            if not same:
                wrong.append(f"{key} is {value}, on the page {found}")
            if read != text:
                wrong.append(f"{key} reads {text!r}, on the page {read!r}")
    wrong += [f"{key} is on the page and in no record" for key in shown if key not in values and key[-1] != "empty_correct"]
    wrong += browser.evaluate(STRUCTURE)
    wrong += browser.evaluate(LABELS)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    role = lambda node: node.get("role", {}).get("value")
    named = lambda node: bool(node.get("name", {}).get("value", "").strip())
    pictures = [node for node in nodes if role(node) in ("image", "img") and not node.get("ignored")]
    count = browser.evaluate("document.querySelectorAll('figure svg[role=img]').length")
    drawn = browser.evaluate("[...document.querySelectorAll('[role=img]')].length")
    if len(pictures) != drawn:
        wrong.append(f"of {drawn} pictures and marks a screen reader finds {len(pictures)}")
    for kind in ("image", "img", "region", "table", "navigation", "button", "combobox"):
        unnamed = [node for node in nodes if role(node) == kind and not node.get("ignored") and not named(node)]
        wrong += [f"no name: {kind}"] * len(unnamed)
    browser.call("Accessibility.disable")
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        luminance, faint = browser.evaluate(CONTRAST)
        if (luminance < 0.2) != (scheme == "dark"):
            wrong.append(f"the {scheme} page has luminance {luminance}")
        wrong += [f"hard to read on the {scheme} page: {what}" for what in faint]
    browser.scheme("light")
    browser.size(400, 800)
    for folds in ("closed", "open"):
        browser.evaluate(f"document.querySelectorAll('details').forEach(d => {{ d.open = {str(folds == 'open').lower()}; }})")
        wide = browser.evaluate("document.documentElement.scrollWidth")
        if wide > 400:
            wrong.append(f"on a screen of 400 pixels the page with {folds} folds is {wide} wide")
    browser.size(1280, 900)
    return wrong, len(shown), count


# --- what the page does

# What of the verdicts is on the first screen: of the table of all, or of the cards where there are few.
FIRST_SCREEN = """
(() => {
  scrollTo(0, 0);
  const seen = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.top >= 0 && b.bottom <= innerHeight && b.left >= 0 && b.right <= innerWidth; };
  const all = selector => [...document.querySelectorAll(selector)];
  const board = all('.board a'), cards = all('.card');
  const unseen = what => what.filter(e => !seen(e)).map(e => e.textContent.trim());
  return {
    counted: all('.counted .verdict').length, count_unseen: unseen(all('.counted .verdict')),
    board: board.length, board_unseen: unseen(board),
    cards: cards.length, first: cards[0] ? unseen([...cards[0].querySelectorAll('.verdict, .kept, .reason')].slice(0, 3)) : [],
  };
})()
"""


def first_screen(browser, page):
    """The verdicts are there before anything is scrolled, on a wide screen and on a narrow one."""
    wrong = []
    for width, height in ((1400, 900), (400, 800)):
        browser.open(page.resolve().as_uri())
        browser.size(width, height)
        browser.open(page.resolve().as_uri())
        browser.size(width, height)
        seen = browser.evaluate(FIRST_SCREEN)
        where = f"on the first screen of {width} x {height}"
        if not seen["counted"] or seen["count_unseen"]:
            wrong.append(f"{where} the verdicts are not counted: {seen}")
        if seen["board"] and len(seen["board_unseen"]) > max(0, seen["board"] - 40):
            wrong.append(f"{where} these verdicts are not seen: {seen['board_unseen']}")
        if not seen["board"] and (not seen["cards"] or seen["first"]):
            wrong.append(f"{where} the first card is not seen: {seen['first']}")
    return wrong


SORTING = """
(() => {
  const fold = [...document.querySelectorAll('details.fold')].find(d => {
    const values = [...d.querySelectorAll('td[data-field=accuracy]')].map(td => td.dataset.value);
    return new Set(values).size > 1;
  });
  if (!fold) return ['no table has several accuracies'];
  fold.open = true;
  return new Promise(done => setTimeout(() => {
    const wrong = [], table = fold.querySelector('table'), column = [...table.rows[1].cells].findIndex(c => c.dataset.field === 'accuracy');
    const head = table.tHead.rows[0].cells[column], button = head.querySelector('button');
    if (!button) return done(['a head has no button']);
    const values = () => [...table.tBodies[0].rows].map(row => Number(row.cells[column].dataset.value));
    const first = values(), up = [...first].sort((a, b) => a - b), same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    for (const [state, expected] of [['ascending', up], ['descending', [...up].reverse()], [null, first]]) {
      button.click();
      if (!same(values(), expected)) wrong.push(`sorted ${state} the accuracies are ${values()}`);
      if (head.getAttribute('aria-sort') !== state) wrong.push(`aria-sort is ${head.getAttribute('aria-sort')}, not ${state}`);
    }
    fold.open = false;
    done(wrong);
  }, 100));
})()
"""

FILTER = """
(() => {
  const form = document.querySelector('form.filter');
  if (!form) return ['there is no filter'];
  if (form.hidden) return ['the filter is hidden'];
  const wrong = [], main = document.querySelector('main');
  const shown = e => !e.closest('[hidden]');
  for (const select of form.querySelectorAll('select')) {
    const name = select.name, of = [...main.querySelectorAll(`[data-${name}]`)];
    for (const value of [...select.options].map(o => o.value).filter(Boolean)) {
      select.value = value;
      form.dispatchEvent(new Event('change'));
      const own = of.filter(e => e.dataset[name] === value);
      if (of.some(e => e.dataset[name] !== value && shown(e))) wrong.push(`${name} ${value}: something else is shown`);
      if (own.length && !own.some(shown)) wrong.push(`${name} ${value}: nothing of it is shown`);
    }
    select.value = '';
  }
  form.reset();
  return new Promise(done => setTimeout(() => {
    const left = main.querySelectorAll('[hidden]').length;
    if (left) wrong.push(`${left} elements stay hidden`);
    done(wrong);
  }, 50));
})()
"""


def drill_down(browser, rows):
    """With the keyboard to a mark, on to the next, and to the prompts that broke there; all cells say what their records say."""
    wrong = []
    cells = browser.evaluate("JSON.parse(document.getElementById('prompts').textContent).cells")
    known = {}
    for row in rows:
        if "correct_given_base" in row and row.get("lost", "0") != "0":
            single = all(part in "1+-*/:=" for part in row["shape"] or "1") and row["step"] == "0"
            question = row["operation"] if single else f"{row['operation']} {row['shape']} step {row['step']}"
            known[f"{row['sweep']} {row['style']} {question}: {row['cell']}"] = row
    if set(known) != set(cells):
        wrong.append(f"prompts are shown of {len(cells)} cells, and broke in {len(known)}: {sorted(set(known) ^ set(cells))[:3]}")
    for key in set(known) & set(cells):
        row, cell = known[key], cells[key]
        if not cell["says"][0].startswith(f"{row['lost']} of the {row['base_correct']} "):
            wrong.append(f"{key}: {cell['says'][0]!r}, but {row['lost']} of {row['base_correct']} are lost")
        bits = lambda name: [digit for four in row[name] for digit in f"{int(four, 16):04b}"]
        lost = [i for i, (base, right) in enumerate(zip(bits("base_answers"), bits("answers"))) if (base, right) == ("1", "0")]
        operands = row.get("evaluated_operands")
        if operands and cell["rows"]:
            due = {tuple(operands[i]) for i in lost}
            shown = [tuple(line[: len(operands[0])]) for line in cell["rows"]]
            if not set(shown) <= due or len(shown) != min(len(lost), max(1, min(40, 20000 // len(cells)))):
                wrong.append(f"{key}: the prompts that are shown are not those that broke")
    first = "[...document.querySelectorAll('.values')].find(v => v.querySelector('[data-prompts]'))"
    if not browser.evaluate(f"!!{first}"):
        return wrong + ["no mark has prompts"]
    browser.evaluate(f"{first}.querySelector('[tabindex=\"0\"]').focus()")
    said = []
    for _ in range(300):
        said.append(browser.evaluate("document.activeElement.closest('figure').querySelector('.readout').textContent"))
        if browser.evaluate("!!document.activeElement.dataset.prompts"):
            break
        browser.press("ArrowRight")
    if not said[-1]:
        wrong.append("a mark that has the focus says nothing")
    key = browser.evaluate("document.activeElement.dataset.key")
    browser.press("Enter")
    panel = browser.evaluate("[...(document.querySelector('.prompts')?.querySelectorAll('tbody tr') ?? [])].length")
    if key not in cells or panel != len(cells[key]["rows"]):
        wrong.append(f"behind the mark of {key} there are {panel} prompts")
    return wrong


def keyboard(browser):
    """The tab key reaches everything that answers, and leaves it."""
    browser.evaluate("document.querySelector('.skip').focus()")
    seen = set()
    for _ in range(120):
        browser.press("Tab")
        seen.add(browser.evaluate("document.activeElement.closest('.values') ? 'MARK' : document.activeElement.tagName"))
    missing = {"A", "SUMMARY", "MARK"} - seen
    return [f"the tab key does not reach {what}" for what in sorted(missing)]


def rules(browser, axe, where):
    """What axe-core finds that is serious."""
    browser.evaluate(axe + "; 0")
    found = browser.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)]))"
    )
    return [f"axe-core, {where}: {which}" for which in found if which[0] in ("serious", "critical")]


WITHOUT_SCRIPT = """
(() => {
  const wrong = [];
  if ([...document.querySelectorAll('details')].some(d => !d.open)) wrong.push('a fold is closed');
  if ([...document.querySelectorAll('[hidden]')].some(e => !e.matches('form.filter'))) wrong.push('something is hidden');
  const gone = [...document.querySelectorAll('td[data-field]')].filter(td => !td.getClientRects().length);
  if (gone.length) wrong.push(`${gone.length} numbers are not seen`);
  if (document.querySelector('th button')) wrong.push('a script ran');
  return wrong;
})()
"""


def interactions(browser, page, rows, axe):
    """What the page does; what is wrong with it."""
    wrong = first_screen(browser, page)
    browser.size(1400, 900)
    browser.open(page.resolve().as_uri())
    browser.size(1400, 900)
    if axe:
        wrong += rules(browser, axe, "folded")
    wrong += browser.evaluate(SORTING) + browser.evaluate(FILTER) + drill_down(browser, rows) + keyboard(browser)
    if axe:
        browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        wrong += rules(browser, axe, "unfolded")
        browser.scheme("dark")
        browser.size(400, 800)
        wrong += rules(browser, axe, "narrow and dark")
        browser.scheme("light")
    browser.open(page.resolve().as_uri(), script=False)
    return wrong + [f"without a script: {what}" for what in browser.evaluate(WITHOUT_SCRIPT)]


# --- large records, and two runs

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
    yield "a figure without a name", instead(r'<svg role="img" aria-label="[^"]*"([^>]*)><title>.*?</title>', r'<svg role="img" aria-label=""\1>')
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
                found, _, _ = check(browser, page, values)
                new = [finding for finding in found if finding not in wrong]
                print(f"{what}: " + (f"found ({new[0]})" if new else "NOT FOUND"))
                missed += [] if new else [what]
        browser.close()
    sys.exit(1 if wrong or missed else 0)


if __name__ == "__main__":
    main()
