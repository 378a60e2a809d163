"use strict";
/* Why: every rule with its threshold, and the histogram of every signal with the thresholds drawn in. */

/** How a rule's refusals are counted: all of them, those that no other rule makes too, those it makes first. */
const REFUSALS = ["failing", "only", "first"];

const ruleLanes = () => LANE_ORDER.filter((lane) => card.funnel.some((row) => row.lane === lane));

/** A body that is filled again whenever one of its controls changes. */
function controlled(controls, fill) {
  const body = make("div", {});
  const refill = () => {
    dropCharts(body);
    body.replaceChildren(...fill());
    drawCharts();
  };
  body.append(...fill());
  return [make("div", { class: "controls" }, controls(refill)), body];
}

/** The rules of a lane that are on, in the order they run. */
const rulesOf = (lane) => card.rules[lane] ?? [];

function rulesView() {
  const lanes = ruleLanes();
  const chosen = state.rules ??= { lane: "all", source: "all", hideIdle: true };
  const set = (name, refill) => (value) => { chosen[name] = value; refill(); };
  const sources = distinct(card.rule_counts.map((row) => row.source)).sort();
  const laneOptions = lanes.map((lane) => [lane, laneWord(lane)]);
  const sourceOptions = sources.map((source) => [source, shortened(sourceWord(source))]);
  const all = ["all", word("all")];
  return controlled((refill) => [
    choice(word("lane"), [all, ...laneOptions], chosen.lane, set("lane", refill)),
    choice(word("source"), [all, ...sourceOptions], chosen.source, set("source", refill)),
    tick(word("hide_idle"), chosen.hideIdle, set("hideIdle", refill)),
  ], () => lanes.filter((lane) => chosen.lane === "all" || chosen.lane === lane).flatMap((lane) => laneRules(lane, chosen)));
}

/** The table of one lane: what its rules refused, in rule order, then copies and other languages. */
function laneRules(lane, { source, hideIdle }) {
  const inScope = (row) => row.lane === lane && (source === "all" || row.source === source);
  const amount = total(card.funnel.filter(inScope), byUnit);
  const rows = refusals(lane, card.rule_counts.filter(inScope)).filter((row) => !hideIdle || row.failing > 0);
  const heading = make("h3", {}, dot(`lane-${lane}`), `${laneWord(lane)} · ${whole(amount)} ${unitWord()}`);
  if (!rows.length) return [heading, make("p", { class: "empty" }, word("no_rules"))];
  const most = Math.max(...rows.map((row) => row.failing));
  const cells = rows.map((row) => [
    make("span", { class: "rule" }, ruleName(row.reason, lane), make("code", {}, row.reason)),
    decimal(row.threshold), figure(row.failing), figure(row.only), figure(row.first),
    meter(row.failing / most, percent(row.failing, amount)),
  ]);
  const counts = ["threshold", ...REFUSALS].map((name) => `#${word(name)}`);
  return [heading, table(`${word("rules")} · ${laneWord(lane)}`, [word("rule"), ...counts, word("share_of_lane")], cells)];
}

/** Reason, threshold and counts of every rule of a lane, those that refused nothing too, then of the other reasons. */
function refusals(lane, counted) {
  const rules = rulesOf(lane).map((rule) => [rule.name, rule.threshold]);
  const names = new Set(rules.map(([name]) => name));
  const others = new Map(counted.filter((row) => !names.has(row.reason)).map((row) => [row.reason, row.threshold]));
  return [...rules, ...others].map(([reason, threshold]) => {
    const rows = counted.filter((row) => row.reason === reason);
    const [failing, only, first] = REFUSALS.map((name) => total(rows, (row) => row[`${name}_${state.unit}`]));
    return { reason, threshold, failing, only, first };
  });
}

/** The rule's name; where it is a bound on a signal, it leads to the signal's histogram. */
function ruleName(reason, lane) {
  const rule = rulesOf(lane).find((each) => each.name === reason);
  if (!rule) return make("span", {}, reasonWord(reason));
  const onclick = () => {
    state.signal = rule.signal;
    redrawView("histograms");
    document.getElementById("histograms").scrollIntoView();
    document.querySelector("#histograms select").focus({ preventScroll: true });
  };
  const title = word("see_histogram", { signal: signalWord(rule.signal) });
  return make("button", { class: "link", type: "button", title, onclick }, reasonWord(reason));
}

/** A small bar of some length from 0 to 1, and a text after it. */
const meter = (length, text) => make("span", { class: "meter" },
  make("i", { style: `width:${100 * (length || 0)}%` }), text ? make("span", {}, text) : null);

function histogramsView() {
  state.signal ??= busiestSignal();
  state.isLog ??= true; // what a rule refuses is mostly a thin tail
  const bounded = new Set(Object.values(card.rules).flat().map((rule) => rule.signal));
  const option = (signal) => [signal, `${signalWord(signal)} · ${signal}`];
  const names = Object.keys(card.signals).filter((signal) => card.histograms[signal]);
  if (!names.length) return [make("p", { class: "empty" }, "–")];
  const groups = [
    [word("with_rule"), names.filter((signal) => bounded.has(signal)).map(option)],
    [word("without_rule"), names.filter((signal) => !bounded.has(signal)).map(option)],
  ].filter(([, options]) => options.length);
  return controlled((refill) => [
    choice(word("signal"), groups, state.signal, (value) => { state.signal = value; refill(); }),
    tick(word("log_scale"), state.isLog, (value) => { state.isLog = value; refill(); }),
  ], () => signalHistograms(state.signal));
}

/** The signal of the rule that removes most documents: the first thing worth looking at. */
function busiestSignal() {
  const isBound = (row) => /^(min|max)_/.test(row.reason);
  const [busiest] = sums(card.rule_counts.filter(isBound), (row) => row.reason.slice(4), (row) => row.first_documents);
  return busiest ? busiest[0] : Object.keys(card.histograms)[0];
}

/** One histogram per lane above the same axis, with the lane's thresholds and the side that they refuse. */
function signalHistograms(signal) {
  const { unit } = card.signals[signal];
  const lanes = LANE_ORDER.filter((lane) => card.histograms[signal][lane]?.length);
  const rules = lanes.map((lane) => rulesOf(lane).filter((rule) => rule.signal === signal));
  const ends = [...lanes.flatMap((lane) => card.histograms[signal][lane].map((bin) => bin[1])),
    ...rules.flat().map((rule) => rule.threshold)];
  const scale = unit === "share" ? shareScale(ends) : countScale(ends);
  const traces = lanes.map((lane, at) => laneBars(lane, { at, bins: card.histograms[signal][lane], scale }));
  const layout = {
    margin: { l: 8, r: 16, t: 30, b: 8 }, bargap: 0, shapes: [], annotations: [],
    grid: { rows: lanes.length, columns: 1, pattern: "independent", ygap: 0.42 },
  };
  lanes.forEach((lane, at) => {
    addAxes(layout, lane, { axis: at + 1, scale, counts: traces[at].y });
    for (const rule of rules[at]) addThreshold(layout, rule, { axis: at + 1, scale });
  });
  const remarks = lanes.flatMap((lane, at) => (rules[at].length ? rules[at].map((rule) => refusedRemark(lane, rule))
    : [word("no_threshold", { lane: laneWord(lane) })]));
  return [
    make("p", { class: "aside" }, make("code", {}, signal), ` ${signalMeaning(signal)}`),
    ...charted(chart(`${word("histograms")}: ${signalWord(signal)}`, 60 + 165 * lanes.length, traces, layout), signalWord(signal),
      [word("lane"), `#${word("from")}`, `#${word("below")}`, ...UNITS.map((each) => `#${word(each)}`)],
      lanes.flatMap((lane) => card.histograms[signal][lane].map(([left, right, ...counts]) =>
        [laneWord(lane), decimal(left), decimal(right), ...counts.map((count) => figure(count))]))),
    make("ul", { class: "legend" }, remarks.map((remark) => make("li", {}, remark))),
  ];
}

/** The axis of shares: where a value stands, from where to where it goes, how it is marked. */
const shareScale = (ends) => ({
  place: (value) => value,
  range: [-0.005, Math.min(1, 1.1 * Math.max(...ends)) + 0.005],
  ticks: { tickformat: ".0%", nticks: 11 },
});

/** The axis of counts: logarithmic, with a place of its own for what is below 1. */
function countScale(ends) {
  const zero = Math.log10(0.7);
  const place = (value) => (value < 1 ? zero : Math.log10(value));
  const range = [zero - 0.05, Math.max(1, ...ends.map(place)) + 0.05];
  const firsts = range[1] < 2.5 ? [1, 2, 5] : [1];
  const marks = firsts.flatMap((first) => [...Array(8).keys()].map((power) => first * 10 ** power));
  return { place, range, ticks: { tickvals: [zero, ...marks.map(place)], ticktext: ["0", ...marks.map(compact)] } };
}

function laneBars(lane, { at, bins, scale }) {
  const column = 2 + UNITS.indexOf(state.unit);
  const edges = bins.map(([left, right]) => [scale.place(left), scale.place(right)]);
  return {
    type: "bar", xaxis: `x${at + 1}`, yaxis: `y${at + 1}`, y: bins.map((bin) => bin[column]),
    x: edges.map(([left, right]) => (left + right) / 2), width: edges.map(([left, right]) => right - left),
    marker: { color: laneColour(lane), line: { width: 0.5, color: colour("card") } },
    customdata: bins.map((bin) => [decimal(bin[0]), decimal(bin[1]), whole(bin[column])]),
    hovertemplate: `%{customdata[0]} – %{customdata[1]}<br>%{customdata[2]} ${unitWord()}<extra>${laneWord(lane)}</extra>`,
  };
}

function addAxes(layout, lane, { axis, scale, counts }) {
  const title = { text: `<b>${laneWord(lane)}</b>`, font: { color: laneColour(lane) } };
  layout[`xaxis${axis}`] = { range: scale.range, ...scale.ticks, showgrid: false, fixedrange: true };
  layout[`yaxis${axis}`] = { ...countAxis(counts), nticks: 4, fixedrange: true, title };
}

/** An axis on which the smallest bar still has a height. */
function countAxis(counts) {
  const seen = counts.filter((count) => count > 0);
  if (!state.isLog || !seen.length) return { type: "linear", rangemode: "tozero" };
  const [low, high] = [0.5 * Math.min(...seen), 1.6 * Math.max(...seen)];
  return { type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: powers(low, high) };
}

/** At most five powers of ten from `smallest` to `largest`; undefined, so that the chart chooses, where there is none. */
function powers(smallest, largest) {
  const [first, last] = [Math.ceil(Math.log10(smallest)), Math.floor(Math.log10(largest))];
  const stride = Math.max(1, Math.ceil((last - first + 1) / 5));
  const exponents = [...Array(Math.max(0, last - first + 1)).keys()].map((at) => last - at).filter((_, at) => at % stride === 0);
  return exponents.length ? exponents.reverse().map((each) => 10 ** each) : undefined;
}

/** The line of a threshold, the shade of the side it refuses, and its value beside it on that side, if there is room. */
function addThreshold(layout, { isMinimum, threshold }, { axis, scale }) {
  const place = scale.place(threshold);
  const [start, end] = scale.range;
  const frame = { xref: `x${axis}`, yref: `y${axis} domain` };
  const [x0, x1] = isMinimum ? [start, place] : [place, end];
  const position = (place - start) / (end - start);
  const isBefore = isMinimum ? position > 0.12 : position > 0.88;
  const shade = { type: "rect", x0, x1, fillcolor: faint(colour("removed"), 0.13), line: { width: 0 }, layer: "below" };
  const line = { type: "line", x0: place, x1: place, line: { color: colour("removed"), width: 2, dash: "dash" } };
  layout.shapes.push(...[shade, line].map((shape) => ({ ...frame, y0: 0, y1: 1, ...shape })));
  layout.annotations.push({
    ...frame, x: place, y: 1, yanchor: "bottom", xanchor: isBefore ? "right" : "left", showarrow: false,
    text: word(isMinimum ? "at_least" : "at_most", { value: decimal(threshold) }), font: { color: colour("removed"), size: 12 },
  });
}

function refusedRemark(lane, { name }) {
  const rows = card.rule_counts.filter((row) => row.lane === lane && row.reason === name);
  const refused = total(rows, (row) => row.failing_documents);
  const documents = total(card.funnel.filter((row) => row.lane === lane), (row) => row.documents);
  const values = { lane: laneWord(lane), count: whole(refused), share: percent(refused, documents) };
  return make("span", {}, `${word("refused_here", values)} · `, make("code", {}, name));
}
