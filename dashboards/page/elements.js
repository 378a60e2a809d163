"use strict";
/* The few elements the page is made of. Text always enters as a text node, so no document can bring markup. */

/** An element; `on…` attributes are listeners, true is an attribute without a value, false and null are none. */
const make = (tag, attributes = {}, ...children) => filledElement(document.createElement(tag), attributes, children);

/** The same for an element of SVG. */
const makeSvg = (tag, attributes = {}, ...children) => filledElement(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function filledElement(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A cell that is shown as `text` but stands for a number: right-aligned, machine-readable. */
const figure = (value, text = whole(value)) => make("data", { value, class: "number" }, text);

/** A table with headings; a heading that starts with # is of a column of numbers. */
function table(caption, headings, rows) {
  const isNumber = headings.map((heading) => heading.startsWith("#"));
  const cells = (row) => row.map((cell, at) => make("td", { class: isNumber[at] && "number" }, cell));
  const head = headings.map((heading, at) =>
    make("th", { scope: "col", class: isNumber[at] && "number" }, heading.replace(/^#/, "")));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, make("tr", {}, head)),
      make("tbody", {}, rows.map((row) => make("tr", {}, cells(row))))));
}

/** A labelled choice. `options` are [value, text] or [group, [[value, text], …]]. */
function choice(label, options, value, onchange) {
  const option = ([each, text]) => make("option", { value: each, selected: each === value }, text);
  const entries = options.map((each) =>
    Array.isArray(each[1]) ? make("optgroup", { label: each[0] }, each[1].map(option)) : option(each));
  const select = make("select", { onchange: (event) => onchange(event.target.value) }, entries);
  return make("label", { class: "control" }, make("span", {}, label), select);
}

/** A labelled tick box. */
function tick(label, checked, onchange) {
  const box = make("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) });
  return make("label", { class: "control tick" }, box, make("span", {}, label));
}

/** A box that opens. */
const folded = (title, ...content) => make("details", {}, make("summary", {}, title), ...content);

/** A long name without its middle. */
const shortened = (name) => (name.length > 28 ? `${name.slice(0, 12)}…${name.slice(-14)}` : name);

/** Sums of `count(row)` over rows with the same `key(row)`, largest first: [[key, sum], …]. */
function sums(rows, key, count) {
  const totals = new Map();
  for (const row of rows) totals.set(key(row), (totals.get(key(row)) ?? 0) + count(row));
  return [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

const total = (rows, count) => rows.reduce((sum, row) => sum + count(row), 0);
const distinct = (values) => [...new Set(values)];
