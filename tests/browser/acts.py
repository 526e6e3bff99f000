"""What a page does: verdicts on the first screen, sorting, filtering, prompts behind marks, the keyboard, and nothing without a script."""

from records import template

# What of the verdicts is on the first screen: of the table of all, or of the cards where there are few.
FIRST_SCREEN = """
(() => {
  scrollTo(0, 0);
  const seen = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.top >= 0 && b.bottom <= innerHeight && b.left >= 0 && b.right <= innerWidth; };
  const all = selector => [...document.querySelectorAll(selector)];
  // A larger table goes on below, or scrolls in its box.
  const first = (of, most) => [...of].slice(0, most);
  const board = first(all('.board tbody tr'), 16).flatMap(row => first(row.cells, 5)).map(cell => cell.querySelector('a')).filter(Boolean);
  const cards = all('.card');
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
        if seen["board_unseen"]:
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
            known[f"{row['sweep']} {template(row)}: {row['cell']}"] = row
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
