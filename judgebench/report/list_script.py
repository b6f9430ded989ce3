"""The script of report-items/index.html: shows the list of items that a number of the report leads to."""

LIST_SCRIPT = """
'use strict';
(function () {
  const lists = JSON.parse(document.getElementById('lists').textContent);
  const held = JSON.parse(document.getElementById('places').textContent);
  const title = document.getElementById('title'), rows = document.getElementById('rows');
  const box = document.getElementById('listed'), words = document.getElementById('find');
  const more = document.getElementById('more'), count = document.getElementById('count');
  const STEP = 200, MOST = 20000;
  let numbers = [], shown = 0;

  function address(number) { return held.pages[held.items[number][2]] + '#item-' + number; }

  function row(number) {
    const item = held.items[number], line = document.createElement('li'), link = document.createElement('a');
    link.href = address(number);
    link.textContent = item[1];
    const rest = document.createElement('span');
    rest.className = 'muted';
    rest.textContent = ' ' + [held.suites[item[0]], item[3], item[4]].filter(Boolean).join(' \\u00b7 ');
    line.append(link, rest);
    return line;
  }

  function further() {
    numbers.slice(shown, shown + STEP).forEach(function (number) { rows.appendChild(row(number)); });
    shown = Math.min(numbers.length, shown + STEP);
    count.textContent = shown + ' of ' + numbers.length + ' items shown';
    more.hidden = shown === numbers.length;
  }

  function fits(number, wanted) {
    const item = held.items[number];
    return (held.suites[item[0]] + ' ' + item.slice(1).join(' ')).toLowerCase().includes(wanted);
  }

  function show() {
    const found = /^#list-(\\d+)$/.exec(location.hash), list = found ? lists[Number(found[1])] : null;
    const runs = list ? list[1] : held.items.length ? [0, held.items.length - 1] : [];
    const wanted = words.value.toLowerCase();
    title.textContent = list ? list[0] : 'All items';
    numbers = [];
    for (let at = 0; at < runs.length; at += 2)
      for (let number = runs[at]; number <= runs[at + 1]; number += 1)
        if (!wanted || fits(number, wanted)) numbers.push(number);
    shown = 0;
    rows.textContent = '';
    further();
    const links = numbers.slice(0, MOST).map(address);
    const name = 'index.html' + (list ? location.hash : '');
    const kept = JSON.stringify({title: title.textContent, list: name, links: links});
    try { sessionStorage.setItem('judgebench-list', kept); }
    catch (error) { more.dataset.kept = 'no'; }  // a browser that keeps nothing still shows every item
  }

  let waiting = 0;
  words.addEventListener('input', function () { clearTimeout(waiting); waiting = setTimeout(show, 150); });
  more.addEventListener('click', further);
  window.addEventListener('hashchange', show);
  box.hidden = false;
  show();
})();
"""
"""The whole script; it writes text and links to our own pages, and never makes markup from text."""
