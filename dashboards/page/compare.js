"use strict";
/* Two versions beside each other: what each keeps, why, and how their configs and signals differ. */

const PAIR = ["a", "b"];
const PAIR_COLOURS = ["lane-en", "removed"];
const MAX_CHANGED_REASONS = 20;

async function openComparison() {
  const query = new URLSearchParams(location.search);
  const names = PAIR.map((side) => query.get(side) ?? "");
  const cards = await Promise.all(names.map((name) => ask(`runs/${escapedName(name)}/card`)));
  live.pair = cards.map((each, at) => ({ name: names[at], card: readCard(each) }));
  document.getElementById("run").replaceChildren();
  show(null, [["compare_overview", compareOverview], ["compare_config", compareConfig], ["compare_funnel", compareFunnel], ["compare_mixture", compareMixture],
    ["compare_rules", compareRules], ["compare_histograms", compareHistograms]]);
}

const pairOf = (value) => live.pair.map(value);
const letterOf = (at) => PAIR[at].toUpperCase();
const pairDot = (at) => make("i", { class: "dot", style: `background:var(--${PAIR_COLOURS[at]})` });
const signedText = (number) => (number ? `${number > 0 ? "+" : "−"}${whole(Math.abs(number))}` : "=");

/** A difference with its share of what was before. */
function changeText([before, after]) {
  const share = before && after !== before ? ` (${after > before ? "+" : "−"}${percent(Math.abs(after - before), before)})` : "";
  return signedText(after - before) + share;
}

const pairHeadings = (...names) => [...names.map((name) => word(name)), "#A", "#B", `#${word("difference")}`];
const pairCells = (values) => [...values.map((value) => figure(value)), changeText(values)];

function compareOverview() {
  const accounts = ["read", "kept", "removed", "failed"].map((name) => [word(name), ...pairCells(pairOf((side) => side.card.accounts[name]))]);
  const amounts = ["chars", "tokens"].map((unit) => [word(`kept_${unit}`), ...pairCells(pairOf((side) => total(side.card.funnel.filter(isKept), (row) => row[unit])))]);
  const clusters = [word("copies_short"), ...pairCells(pairOf((side) => side.card.clusters.removed))];
  return [
    make("ul", { class: "legend" }, pairOf((side, at) => make("li", {}, pairDot(at), make("b", {}, `${letterOf(at)} `),
      make("a", { href: `/run/${escapedName(side.name)}` }, side.name), ` ${side.card.run.run_id}`))),
    table(word("compare_overview"), pairHeadings("measure"), [...accounts, ...amounts, clusters]),
  ];
}

/** Every key of the two configs whose values differ. */
function compareConfig() {
  const flat = (value, prefix = "") => (value !== null && typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, each]) => flat(each, prefix ? `${prefix}.${name}` : name)) : [[prefix, JSON.stringify(value)]]);
  const [one, other] = pairOf((side) => new Map(flat(side.card.run.config)));
  const keys = distinct([...one.keys(), ...other.keys()]).filter((key) => one.get(key) !== other.get(key)).sort();
  if (!keys.length) return [make("p", { class: "empty" }, word("same_config"))];
  return [table(word("differing_config"), [word("config_key"), "A", "B"],
    keys.map((key) => [make("code", {}, key), make("code", {}, one.get(key) ?? "–"), make("code", {}, other.get(key) ?? "–")]))];
}

/** Amounts of both cards under the same key: [[key, [a, b]], …], largest change first. */
function pairSums(rowsOf, keyOf) {
  const found = new Map();
  live.pair.forEach((side, at) => {
    for (const row of rowsOf(side.card)) {
      const key = keyOf(row);
      if (!found.has(key)) found.set(key, [0, 0]);
      found.get(key)[at] += row[state.unit];
    }
  });
  return [...found].sort(([, a], [, b]) => Math.abs(b[1] - b[0]) - Math.abs(a[1] - a[0]));
}

function compareFunnel() {
  const reasons = pairSums((each) => each.funnel.filter(isRemoved), (row) => row.reason).slice(0, MAX_CHANGED_REASONS);
  const fates = pairSums((each) => each.funnel, (row) => JSON.stringify([row.source, row.lane, row.outcome, row.reason]));
  const cells = fates.filter(([, [a, b]]) => a !== b).map(([key, values]) => {
    const [source, lane, outcome, reason] = JSON.parse(key);
    return [sourceWord(source), lane && laneWord(lane), word(outcome), reason && reasonWord(reason), ...pairCells(values)];
  });
  const bars = [1, 0].map((at) => ({ // charts draw the first one lowest
    type: "bar", orientation: "h", name: letterOf(at), y: reasons.map(([reason]) => chartName(reasonWord(reason))).reverse(),
    x: reasons.map(([, values]) => values[at]).reverse(), marker: { color: colour(PAIR_COLOURS[at]) }, hovertemplate: `${letterOf(at)}: %{x:,} ${unitWord()}<extra>%{y}</extra>`,
  }));
  const picture = reasons.length ? [make("h3", {}, word("first_reasons")), chart(word("first_reasons"), 90 + 34 * reasons.length, bars, {
    showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "reversed" }, barmode: "group", yaxis: { type: "category" }, xaxis: { rangemode: "tozero" },
  })] : [];
  return [...picture, cells.length ? folded(word("as_table"), table(word("compare_funnel"), pairHeadings("source", "lane", "outcome", "reason"), cells))
    : make("p", { class: "empty" }, word("no_change"))];
}

function compareMixture() {
  const tableBy = (title, keyOf, name, nameOf) => {
    const sums = pairSums((each) => each.funnel.filter(isKept), keyOf);
    const totals = PAIR.map((_, at) => total(sums, ([, values]) => values[at]));
    const rows = sums.map(([key, values]) => [nameOf(key), ...pairCells(values), ...values.map((value, at) => percent(value, totals[at]))]);
    return make("div", {}, make("h3", {}, word(title)), table(word(title), [...pairHeadings(name), "#A %", "#B %"], rows));
  };
  return [tableBy("kept_by_lane", (row) => row.lane, "lane", laneWord), tableBy("kept_by_source", (row) => row.source, "source", sourceWord)];
}

function compareRules() {
  const chosen = state.compareRules ??= { onlyChanged: true };
  return controlled((refill) => tick(word("only_changed"), chosen.onlyChanged, (value) => { chosen.onlyChanged = value; refill(); }),
    () => LANE_ORDER.flatMap((lane) => pairedRules(lane, chosen.onlyChanged)));
}

function pairedRules(lane, onlyChanged) {
  const bounds = pairOf((side) => new Map((side.card.every_rule[lane] ?? []).map((rule) => [rule.name, rule.threshold])));
  const counts = pairSums((each) => each.rule_counts.filter((row) => row.lane === lane).map((row) => ({ ...row, [state.unit]: row[`failing_${state.unit}`] })), (row) => row.reason);
  const failing = new Map(counts);
  const names = distinct([...bounds[0].keys(), ...bounds[1].keys(), ...failing.keys()]);
  const rows = names.map((name) => [name, bounds.map((each) => each.get(name)), failing.get(name) ?? [0, 0]])
    .filter(([, [a, b], [x, y]]) => (onlyChanged ? a !== b || x !== y : x || y || a !== b));
  if (!rows.length) return [];
  const boundText = (bound) => (bound === undefined ? "–" : bound === null ? word("is_off") : decimal(bound));
  const cells = rows.map(([name, thresholds, values]) => [make("span", { class: "rule" }, make("span", {}, reasonWord(name)), make("code", {}, name)),
    ...(thresholds[0] === thresholds[1] ? thresholds.map(boundText) : thresholds.map((bound) => make("b", {}, boundText(bound)))), ...pairCells(values)]);
  const headings = [word("rule"), `#${word("threshold")} A`, `#${word("threshold")} B`, "#A", "#B", `#${word("difference")}`];
  return [make("h3", {}, dot(`lane-${lane}`), laneWord(lane)), table(`${word("compare_rules")} · ${laneWord(lane)}`, headings, cells)];
}

function compareHistograms() {
  const names = Object.keys(live.pair[0].card.signals).filter((signal) => live.pair.some((side) => side.card.histograms[signal]));
  if (!names.length) return [make("p", { class: "empty" }, "–")];
  const chosen = state.compareSignal ??= { name: names.includes("num_chars") ? "num_chars" : names[0] };
  return controlled(
    (refill) => choice(word("signal"), names.map((name) => [name, `${signalWord(name)} · ${name}`]), chosen.name, (value) => { chosen.name = value; refill(); }),
    () => overlaid(chosen.name));
}

/** The histograms of one signal over each other, each as shares of its lane, with the thresholds of both. */
function overlaid(signal) {
  const lanes = LANE_ORDER.filter((lane) => live.pair.some((side) => side.card.histograms[signal]?.[lane]?.length));
  const bins = (side, lane) => side.card.histograms[signal]?.[lane] ?? [];
  const rules = (side, lane) => (side.card.rules[lane] ?? []).filter((rule) => rule.signal === signal);
  const ends = lanes.flatMap((lane) => live.pair.flatMap((side) => [...bins(side, lane).map((bin) => bin[1]), ...rules(side, lane).map((rule) => rule.threshold)]));
  const scale = live.pair[0].card.signals[signal].unit === "share" ? shareScale(ends) : countScale(ends);
  const layout = { margin: { l: 8, r: 16, t: 40, b: 8 }, showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, shapes: [], grid: { rows: lanes.length, columns: 1, pattern: "independent", ygap: 0.3 } };
  const traces = lanes.flatMap((lane, row) => live.pair.map((side, at) => outline(bins(side, lane), { lane, row, at, scale })));
  lanes.forEach((lane, row) => {
    layout[`xaxis${row + 1}`] = { range: scale.range, ...scale.ticks, showgrid: false, fixedrange: true };
    layout[`yaxis${row + 1}`] = { title: { text: `<b>${laneWord(lane)}</b>`, font: { color: laneColour(lane) } }, tickformat: ".0%", rangemode: "tozero", nticks: 4, fixedrange: true };
    live.pair.forEach((side, at) => layout.shapes.push(...rules(side, lane).map((rule) => ({
      type: "line", xref: `x${row + 1}`, yref: `y${row + 1} domain`, x0: scale.place(rule.threshold), x1: scale.place(rule.threshold), y0: 0, y1: 1,
      line: { color: colour(PAIR_COLOURS[at]), width: 2, dash: at ? "dot" : "dash" } }))));
  });
  return [make("p", { class: "aside" }, word("share_of_all")), chart(`${word("signal_overlaid")}: ${signalWord(signal)}`, 70 + 165 * lanes.length, traces, layout)];
}

/** The outline of a histogram: a step at every edge. */
function outline(bins, { lane, row, at, scale }) {
  const column = 2 + UNITS.indexOf(state.unit);
  const all = total(bins, (bin) => bin[column]) || 1;
  const points = bins.flatMap((bin, place) => {
    const step = [[scale.place(bin[0]), bin[column] / all], [scale.place(bin[1]), bin[column] / all]];
    const isApart = place > 0 && bins[place - 1][1] < bin[0];
    return isApart ? [[scale.place(bins[place - 1][1]), 0], [scale.place(bin[0]), 0], ...step] : step;
  });
  return {
    type: "scatter", mode: "lines", name: letterOf(at), legendgroup: letterOf(at), showlegend: row === 0, xaxis: `x${row + 1}`, yaxis: `y${row + 1}`,
    x: points.map(([x]) => x), y: points.map(([, y]) => y), line: { color: colour(PAIR_COLOURS[at]), width: 2, dash: at ? "dot" : "solid" }, fill: "tozeroy",
    fillcolor: faint(colour(PAIR_COLOURS[at]), 0.1), hovertemplate: `${letterOf(at)}: %{y:.2%}<extra>${laneWord(lane)}</extra>`,
  };
}
