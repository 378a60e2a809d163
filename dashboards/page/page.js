"use strict";
/* The page: reads the card, builds every view, and builds them again when language, unit or theme change. */

const UNITS = ["documents", "chars", "tokens"];
const card = readCard();

const VIEWS = [
  ["overview", overviewView],
  ["funnel", funnelView],
  ["mixture", mixtureView],
  ["heat", heatView],
  ["rules", rulesView],
  ["histograms", histogramsView],
  ["duplicates", duplicatesView],
  ["samples", samplesView],
  ["edits", editsView],
  ["lines", linesView],
  ["contamination", contaminationView],
  ["failures", failuresView],
  ...(card.trainings.length ? [["training", trainingView]] : []),
  ["stages", stagesView],
];

/** The card that stands in the page, its rows under the names of their columns. */
function readCard() {
  const value = JSON.parse(document.getElementById("card").textContent);
  const named = (names) => (row) => Object.fromEntries(names.map((name, at) => [name, row[at]]));
  return {
    ...value,
    funnel: value.funnel.map(named(["source", "lane", "outcome", "reason", ...UNITS])),
    rules: Object.fromEntries(Object.entries(value.rules).map(([lane, rules]) =>
      [lane, rules.map(named(["name", "signal", "isMinimum", "threshold"])).filter((rule) => rule.threshold !== null)])),
    rule_counts: value.rule_counts.map(named(["source", "lane", "reason", "threshold", ...UNITS.flatMap((unit) => REFUSALS.map((name) => `${name}_${unit}`))])),
  };
}

/** Fills one view again. */
function redrawView(id) {
  const section = document.getElementById(id);
  const note = Object.hasOwn(WORDS, `${id}_note`) ? make("p", { class: "note" }, word(`${id}_note`, { unit: unitWord() })) : null;
  const build = VIEWS.find(([name]) => name === id)[1];
  dropCharts(section);
  section.replaceChildren(make("h2", { id: `${id}-title` }, word(id)), ...(note ? [note] : []), ...build());
  section.dataset.drawn = "1";
  drawCharts();
}

/** Fills everything again; what was chosen and where the reader stands stay as they are. */
function redraw() {
  const place = window.scrollY;
  document.documentElement.lang = locale();
  document.title = `${card.run.run_id} · ${word("title")}`;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  fillHeader();
  for (const [id] of VIEWS) redrawView(id);
  window.scrollTo({ top: place });
}

function fillHeader() {
  const facts = ["run_id", "version", "config_digest", "code"].map((name) => [word(name === "run_id" ? "run" : name), card.run[name]]);
  document.getElementById("run").replaceChildren(...facts.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make("code", {}, value)))));
  const contents = document.getElementById("contents");
  contents.setAttribute("aria-label", word("contents"));
  contents.replaceChildren(...VIEWS.map(([id]) => make("a", { href: `#${id}` }, word(id))));
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

function start() {
  document.getElementById("views").replaceChildren(...VIEWS.map(([id]) =>
    make("section", { id, class: "view", "aria-labelledby": `${id}-title` })));
  state.language = /^zh\b/i.test(navigator.language) ? 0 : 1;
  switchOf("units", UNITS.map((unit) => [unit, ""]), "unit");
  switchOf("languages", [[0, "中文"], [1, "English"]], "language");
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => setPaper(true));
  addEventListener("afterprint", () => setPaper(false));
  document.body.dataset.ready = "1";
}

start();
