"""The script of report.html: sorts tables, filters items; the page reads as well without it."""

SCRIPT = """
'use strict';
(function () {
  function all(selector, from) { return Array.from((from || document).querySelectorAll(selector)); }

  function value(row, column) {
    const cell = row.cells[column], number = cell.dataset.sort;
    return number === undefined ? cell.textContent.trim() : Number(number);
  }

  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a === 'number') return -1;
    if (typeof b === 'number') return 1;
    return a.localeCompare(b, undefined, {numeric: true});
  }

  function sortBy(table, heading) {
    const column = heading.cellIndex, up = heading.getAttribute('aria-sort') === 'descending';
    const body = table.tBodies[0], rows = Array.from(body.rows);
    const missing = function (row) { return row.cells[column].textContent.trim().charAt(0) === '\\u2014'; };
    rows.sort(function (one, other) {
      if (missing(one) !== missing(other)) return missing(one) ? 1 : -1;
      const order = compare(value(one, column), value(other, column));
      return up ? order : -order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
    all('th[aria-sort]', table).forEach(function (other) { other.removeAttribute('aria-sort'); });
    heading.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  }

  all('table.sortable').forEach(function (table) {
    if (table.tBodies[0].rows.length < 2) return;
    all('thead th', table).forEach(function (heading) {
      const button = document.createElement('button');
      button.type = 'button';
      while (heading.firstChild) button.appendChild(heading.firstChild);
      button.addEventListener('click', function () { sortBy(table, heading); });
      heading.appendChild(button);
    });
  });

  const controls = document.getElementById('controls');
  if (!controls) return;
  const words = document.getElementById('find'), suite = document.getElementById('suite');
  const flag = document.getElementById('flag'), count = document.getElementById('count');
  const cards = all('details.card'), texts = new Map();
  let only = null;

  function text(card) {
    if (!texts.has(card)) texts.set(card, card.textContent.toLowerCase());
    return texts.get(card);
  }

  function filter() {
    const wanted = words.value.toLowerCase();
    let shown = 0;
    cards.forEach(function (card, place) {
      const fits = (!only || only.has(place)) && (!suite.value || card.dataset.suite === suite.value) &&
        (!flag.value || card.dataset.flags.split(' ').includes(flag.value)) && (!wanted || text(card).includes(wanted));
      card.hidden = !fits;
      if (fits) shown += 1;
    });
    all('.suite-heading').forEach(function (heading) {
      heading.hidden = Boolean(suite.value) && heading.dataset.suite !== suite.value;
    });
    count.textContent = shown + ' of ' + cards.length + ' items shown';
  }

  const kept = document.getElementById('lists'), lists = kept ? JSON.parse(kept.textContent) : [];
  const listed = document.getElementById('listed');

  function choose(number) {
    only = null;
    listed.hidden = true;
    listed.textContent = '';
    if (number === null || !lists[number]) { filter(); return; }
    const runs = lists[number][1];
    only = new Set();
    for (let at = 0; at < runs.length; at += 2)
      for (let place = runs[at]; place <= runs[at + 1]; place += 1) only.add(place);
    const every = document.createElement('button');
    every.type = 'button';
    every.textContent = 'Show all items';
    every.addEventListener('click', function () { choose(null); });
    listed.append('Only: ' + lists[number][0] + ' ', every);
    listed.hidden = false;
    words.value = suite.value = flag.value = '';
    filter();
    const first = cards.find(function (card) { return !card.hidden; });
    if (first) {
      first.open = true;
      document.getElementById('controls').scrollIntoView();
      first.querySelector('summary').focus({preventScroll: true});
    }
  }

  all('a[data-list]').forEach(function (link) {
    link.addEventListener('click', function (event) { event.preventDefault(); choose(Number(link.dataset.list)); });
  });

  function walk() {
    const box = document.getElementById('walk');
    if (!box) return false;
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem('judgebench-list')); } catch (error) { kept = null; }
    const links = kept && Array.isArray(kept.links) ? kept.links : [];
    const at = links.indexOf(location.pathname.split('/').pop() + location.hash);
    box.textContent = '';
    box.hidden = at < 0;
    if (at < 0) return false;
    const way = function (address, words, form) {
      if (typeof address !== 'string' || !form.test(address)) return;
      const link = document.createElement('a');
      link.href = address;
      link.textContent = words;
      box.append(link, ' ');
    };
    way(links[at - 1], 'Before', /^page-\\d+\\.html#item-\\d+$/);
    way(links[at + 1], 'Next', /^page-\\d+\\.html#item-\\d+$/);
    way(kept.list, (at + 1) + ' of ' + links.length + ' in: ' + kept.title, /^index\\.html(#list-\\d+)?$/);
    return true;
  }

  function arrive() {
    const target = location.hash.startsWith('#item-') && document.getElementById(location.hash.slice(1));
    if (!target) return;
    if (walk()) cards.forEach(function (card) { card.open = false; });
    target.open = true;
    target.scrollIntoView();
  }
  window.addEventListener('hashchange', arrive);

  let waiting = 0;
  words.addEventListener('input', function () { clearTimeout(waiting); waiting = setTimeout(filter, 150); });
  suite.addEventListener('change', filter);
  flag.addEventListener('change', filter);
  document.getElementById('toggle').addEventListener('click', function () {
    const visible = cards.filter(function (card) { return !card.hidden; });
    const open = visible.some(function (card) { return !card.open; });
    visible.forEach(function (card) { card.open = open; });
  });
  all('a[data-suite]').forEach(function (link) {
    link.addEventListener('click', function () { suite.value = link.dataset.suite; filter(); });
  });
  controls.hidden = false;
  filter();
  arrive();
})();
"""
"""The whole script; it reads and moves elements, and never makes markup from text."""
