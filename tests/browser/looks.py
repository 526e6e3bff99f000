"""What stands on a page: its numbers, labels, structure and colours."""

import json

from records import same_number

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


def heard(browser):
    """What is wrong for those who hear the page: a picture or a control that has no name, or that is not there."""
    wrong = []
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    role = lambda node: node.get("role", {}).get("value")
    named = lambda node: bool(node.get("name", {}).get("value", "").strip())
    pictures = [node for node in nodes if role(node) in ("image", "img") and not node.get("ignored")]
    drawn = browser.evaluate("[...document.querySelectorAll('[role=img]')].length")
    if len(pictures) != drawn:
        wrong.append(f"of {drawn} pictures and marks a screen reader finds {len(pictures)}")
    for kind in ("image", "img", "region", "table", "navigation", "button", "combobox"):
        unnamed = [node for node in nodes if role(node) == kind and not node.get("ignored") and not named(node)]
        wrong += [f"no name: {kind}"] * len(unnamed)
    browser.call("Accessibility.disable")
    return wrong


def check(browser, page, values, hears=True):
    """Opens the page; what is wrong with it, and where it `hears` with what a screen reader finds."""
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
    wrong += heard(browser) if hears else []
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
    count = browser.evaluate("document.querySelectorAll('figure svg[role=img]').length")
    return wrong, len(shown), count
