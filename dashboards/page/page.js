"use strict";
/* The page: reads the card, builds every view, and builds them again when language, unit or theme change. */

const UNITS = ["documents", "chars", "tokens"];

/** The card of the run that is shown; `views` are the sections of the page, name and builder. */
let card = null;
let views = [];

/** What a card is shown as; the live page (live.js) has more and other views. */
const cardViews = () => [
  ["overview", overviewView],
  ["funnel", funnelView],
  ["mixture", mixtureView],
  ["heat", heatView],
  ["rules", rulesView],
  ["histograms", histogramsView],
  ["whatif", whatIfView],
  ["duplicates", duplicatesView],
  ["samples", samplesView],
  ["edits", editsView],
  ["lines", linesView],
  ["contamination", contaminationView],
  ["failures", failuresView],
  ...(card.trainings.length ? [["training", trainingView]] : []),
  ...(card.lineage ? [["lineage", lineageView]] : []),
  ["stages", stagesView],
];

/** A card with its rows under the names of their columns. */
function readCard(value) {
  const named = (names) => (row) => Object.fromEntries(names.map((name, at) => [name, row[at]]));
  return {
    ...value,
    funnel: value.funnel.map(named(["source", "lane", "outcome", "reason", ...UNITS])),
    rules: Object.fromEntries(Object.entries(value.rules).map(([lane, rules]) =>
      [lane, rules.map(named(["name", "signal", "isMinimum", "threshold"])).filter((rule) => rule.threshold !== null)])),
    every_rule: Object.fromEntries(Object.entries(value.rules).map(([lane, rules]) =>
      [lane, rules.map(named(["name", "signal", "isMinimum", "threshold"]))])),
    rule_counts: value.rule_counts.map(named(["source", "lane", "reason", "threshold", ...UNITS.flatMap((unit) => REFUSALS.map((name) => `${name}_${unit}`))])),
  };
}

/** Fills one view again. */
function redrawView(id) {
  const section = document.getElementById(id);
  const note = Object.hasOwn(WORDS, `${id}_note`) ? make("p", { class: "note" }, word(`${id}_note`, { unit: unitWord() })) : null;
  const build = views.find(([name]) => name === id)[1];
  dropCharts(section);
  section.replaceChildren(make("h2", { id: `${id}-title` }, word(id)), ...(note ? [note] : []), ...build());
  section.dataset.drawn = "1";
  drawCharts();
}

/** Fills everything again, or only the first views; what was chosen and where the reader stands stay as they are. */
function redraw(shown = views) {
  const place = window.scrollY;
  document.documentElement.lang = locale();
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  const title = document.querySelector("h1").textContent;
  document.title = card ? `${card.run.run_id} · ${title}` : title;
  fillHeader();
  for (const [id] of shown) redrawView(id);
  window.scrollTo({ top: place });
}

function fillHeader() {
  const facts = card ? ["run_id", "version", "config_digest", "code"].map((name) => [word(name === "run_id" ? "run" : name), card.run[name]]) : [];
  document.getElementById("run").replaceChildren(...facts.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make("code", {}, value)))));
  const contents = document.getElementById("contents");
  contents.setAttribute("aria-label", word("contents"));
  contents.replaceChildren(...views.map(([id]) => make("a", { href: `#${id}` }, word(id))));
  document.getElementById("units").setAttribute("aria-label", word("unit"));
  for (const button of document.querySelectorAll("#units button")) button.textContent = word(`${button.value}_short`);
}

/** Buttons of which one is pressed. */
function switchOf(id, entries, name) {
  const holder = document.getElementById(id);
  const press = (value) => {
    state[name] = value;
    for (const button of holder.children) button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
  };
  holder.replaceChildren(...entries.map(([value, text]) => make("button", {
    type: "button", value, "data-value": value, onclick: () => { press(value); redraw(); },
  }, text)));
  press(state[name]);
}

/** Light colours and the width of a sheet: charts have fixed sizes, so they are drawn again before they are printed. */
function setPaper(isPaper) {
  document.documentElement.classList.toggle("paper", isPaper);
  redraw();
}

/** Shows these views in place of the ones before: the first `atOnce` of them; whoever asks for fewer draws the others. */
function show(newCard, newViews, atOnce = newViews.length) {
  [card, views] = [newCard, newViews];
  const main = document.getElementById("views");
  dropCharts(main);
  main.replaceChildren(...newViews.map(([id]) => make("section", { id, class: "view", "aria-labelledby": `${id}-title` })));
  redraw(newViews.slice(0, atOnce));
}

function start() {
  state.language = /^zh\b/i.test(navigator.language) ? 0 : 1;
  switchOf("units", UNITS.map((unit) => [unit, ""]), "unit");
  switchOf("languages", [[0, "中文"], [1, "English"]], "language");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  addEventListener("beforeprint", () => setPaper(true));
  addEventListener("afterprint", () => setPaper(false));
  const embedded = document.getElementById("card").textContent;
  if (!embedded) {
    startLive();
    return;
  }
  card = readCard(JSON.parse(embedded));
  show(card, cardViews());
  document.body.dataset.ready = "1";
}

start();
