// What makes the page answer. It reads the page and the prompts that stand in it, and writes text only: nothing that a record says can
// become markup. Without it every table is open and every section is there.
'use strict';
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const make = (name, text, attributes = {}) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const narrow = matchMedia('(max-width: 64rem)');

  // Tables are folded, and on a narrow screen the contents; on paper all are open.
  const folds = all('details.fold, details.guide');
  const contents = document.querySelector('nav details');
  folds.forEach(fold => { fold.open = false; });
  const fit = () => { if (contents) contents.open = !narrow.matches; };
  fit();
  narrow.addEventListener('change', fit);
  all('nav a').forEach(a => a.addEventListener('click', fit));
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = folds.filter(fold => !fold.open);
    closed.forEach(fold => { fold.open = true; });
  });
  addEventListener('afterprint', () => closed.forEach(fold => { fold.open = false; }));

  // A link into a fold opens it.
  const open = () => {
    const to = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (to && to.tagName === 'DETAILS') to.open = true;
  };
  addEventListener('hashchange', open);
  open();

  // The part that is read is named in the contents.
  const links = new Map(all('nav a').map(a => [decodeURIComponent(a.getAttribute('href').slice(1)), a]));
  if ('IntersectionObserver' in window) {
    const watch = new IntersectionObserver(entries => {
      for (const entry of entries.filter(e => e.isIntersecting)) {
        links.forEach(a => a.removeAttribute('aria-current'));
        links.get(entry.target.id)?.setAttribute('aria-current', 'location');
      }
    }, { rootMargin: '-10% 0px -80% 0px' });
    links.forEach((_, id) => { const part = document.getElementById(id); if (part) watch.observe(part); });
  }

  // The filter: what is of another model, style, operation or experiment goes.
  const form = document.querySelector('form.filter');
  const names = ['model', 'style', 'operation', 'experiment'];
  const labelled = all(names.map(name => `main [data-${name}]`).join(', '));
  const show = () => {
    const asked = names.map(name => [name, form.elements[name]?.value ?? '']).filter(([, value]) => value);
    const other = element => asked.some(([name, value]) => name in element.dataset && element.dataset[name] !== value);
    labelled.forEach(element => { element.hidden = other(element); });
    // A sweep of which no template is left goes as a whole.
    all('section.sweep').filter(sweep => !sweep.hidden).forEach(sweep => {
      const own = all('section[data-style]', sweep);
      sweep.hidden = own.length > 0 && own.every(section => section.hidden);
    });
    links.forEach((a, id) => { a.parentElement.hidden = document.getElementById(id)?.hidden ?? false; });
    const cards = all('.card'), left = cards.filter(card => !card.hidden).length;
    form.querySelector('output').textContent = asked.length ? `${left} of ${cards.length} answers` : '';
  };
  if (form) {
    form.hidden = false;
    form.addEventListener('submit', event => event.preventDefault());
    form.addEventListener('change', show);
    form.addEventListener('reset', () => setTimeout(show));
  }

  // Tables are sorted by a column: upwards, downwards, as they were. A number is compared as the record has it.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return '';
    return cell.dataset.value !== undefined && cell.dataset.value !== 'null' ? cell.dataset.value : cell.textContent.trim();
  };
  const compare = (a, b) => {
    const [x, y] = [parseFloat(a), parseFloat(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y) && x !== y) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b, 'en', { numeric: true });
  };
  const sortable = table => {
    const body = table.tBodies[0], order = [...body.rows];
    if (order.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make('button', head.textContent || `column ${column + 1}`, { type: 'button' });
      if (!head.textContent) button.firstChild.replaceWith(make('span', button.textContent, { class: 'unseen' }));
      head.replaceChildren(button);
      button.addEventListener('click', () => {
        const next = { none: 'ascending', ascending: 'descending', descending: 'none' }[head.ariaSort ?? 'none'];
        heads.forEach(other => other.removeAttribute('aria-sort'));
        let rows = [...order];
        if (next !== 'none') {
          head.setAttribute('aria-sort', next);
          const sign = next === 'ascending' ? 1 : -1;
          rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
        }
        body.append(...rows);
      });
    });
  };
  // When its fold is opened: a page may have many.
  const once = (fold, make) => {
    const opened = () => {
      if (!fold.open) return;
      fold.removeEventListener('toggle', opened);
      make();
    };
    fold.addEventListener('toggle', opened);
  };
  all('table.numbers').forEach(table => {
    const fold = table.closest('details');
    if (fold) once(fold, () => sortable(table)); else sortable(table);
  });

  // What a mark of a picture says: below the picture, for the pointer and for the keyboard. Arrows go from mark to mark.
  const data = document.getElementById('prompts');
  const prompts = data ? JSON.parse(data.textContent) : { cells: {} };
  const near = (from, marks, [dx, dy]) => {
    const centre = mark => [mark.x.baseVal.value + mark.width.baseVal.value / 2, mark.y.baseVal.value + mark.height.baseVal.value / 2];
    const [x, y] = centre(from);
    let best = null, least = Infinity;
    for (const mark of marks) {
      const [along, across] = (([u, v]) => dx ? [(u - x) * dx, v - y] : [(v - y) * dy, u - x])(centre(mark));
      const far = along + 2 * Math.abs(across);
      if (along > 0.5 && far < least) [best, least] = [mark, far];
    }
    return best;
  };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  all('figure').filter(figure => figure.querySelector('.values')).forEach((figure, n) => {
    const marks = all('.values rect', figure), readout = make('p', '', { class: 'readout', 'aria-live': 'polite' });
    figure.querySelector('.scroll').after(readout);
    const behind = Object.keys(prompts.cells).length ? '; what broke there is a click or Enter away' : '';
    if (n === 0) readout.textContent = `Point at a mark, or tab to the picture and go on with the arrows${behind}.`;
    const say = mark => {
      const more = mark.dataset.prompts ? ' — a click or Enter shows the prompts that broke' : '';
      readout.textContent = mark.querySelector('title').textContent + more;
    };
    marks.forEach((mark, i) => {
      mark.setAttribute('tabindex', i ? '-1' : '0');
      if (prompts.cells[mark.dataset.key]) {
        mark.dataset.prompts = 'yes';
        mark.setAttribute('role', 'button');
        mark.setAttribute('aria-label', `${mark.querySelector('title').textContent}: the prompts that broke`);
      }
    });
    const go = mark => {
      marks.forEach(other => other.setAttribute('tabindex', other === mark ? '0' : '-1'));
      mark.focus();
    };
    const layer = figure.querySelector('.values');
    const under = event => event.target.closest('rect');
    layer.addEventListener('pointerover', event => { if (under(event)) say(under(event)); });
    layer.addEventListener('focusin', event => say(under(event)));
    layer.addEventListener('click', event => { if (under(event)) ask(figure, under(event)); });
    layer.addEventListener('keydown', event => {
      const mark = under(event), next = event.key in arrows ? near(mark, marks, arrows[event.key]) : null;
      if (next) go(next);
      if (['Enter', ' '].includes(event.key)) ask(figure, mark);
      if (next || event.key === ' ' || event.key in arrows) event.preventDefault();
    });
  });

  // The prompts that broke in a cell.
  const rows = (head, body) => {
    const table = make('table', undefined, { class: 'numbers' }), top = make('thead'), rest = make('tbody'), line = make('tr');
    table.append(make('caption', 'Prompts that broke', { class: 'unseen' }));
    head.forEach(name => line.append(make('th', name, { scope: 'col' })));
    body.forEach(cells => {
      const row = make('tr');
      cells.forEach((text, i) => row.append(i ? make('td', text) : make('th', text, { scope: 'row' })));
      rest.append(row);
    });
    top.append(line);
    table.append(top, rest);
    sortable(table);
    return table;
  };
  const ask = (figure, mark) => {
    const cell = prompts.cells[mark.dataset.key];
    figure.querySelector('.prompts')?.remove();
    if (!cell) return;
    const panel = make('div', undefined, { class: 'prompts', role: 'region', 'aria-label': 'Prompts that broke', tabindex: '-1' });
    panel.append(make('p', mark.querySelector('title').textContent, { class: 'asked' }));
    cell.says.forEach(sentence => panel.append(make('p', sentence, { class: 'note' })));
    if (cell.rows.length) {
      const box = make('div', undefined, { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table: prompts that broke' });
      box.append(rows(cell.columns, cell.rows));
      panel.append(box);
    }
    const close = make('button', 'Close', { type: 'button' });
    close.addEventListener('click', () => { panel.remove(); mark.focus(); });
    panel.append(close);
    figure.querySelector('figcaption').before(panel);
    panel.focus();
  };
})();
