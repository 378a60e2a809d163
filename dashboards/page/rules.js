"use strict";
/* Why: every rule with its threshold, and the histogram of every signal with the thresholds drawn in. */

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

function rulesView() {
  const lanes = ruleLanes();
  const chosen = state.rules ??= { lane: "all", source: "all", hideIdle: true };
  const set = (name, refill) => (value) => { chosen[name] = value; refill(); };
  const sources = distinct(card.rule_counts.map((row) => row.source)).sort();
  return controlled((refill) => [
    choice(word("lane"), [["all", word("all")], ...lanes.map((lane) => [lane, laneWord(lane)])], chosen.lane, set("lane", refill)),
    choice(word("source"), [["all", word("all")], ...sources.map((each) => [each, shortened(sourceWord(each))])], chosen.source, set("source", refill)),
    tick(word("hide_idle"), chosen.hideIdle, set("hideIdle", refill)),
  ], () => lanes.filter((lane) => chosen.lane === "all" || chosen.lane === lane).flatMap((lane) => laneRules(lane, chosen)));
}

/** The table of one lane: what its rules refused, in rule order, then copies and other languages. */
function laneRules(lane, { source, hideIdle }) {
  const inScope = (row) => row.lane === lane && (source === "all" || row.source === source);
  const counted = card.rule_counts.filter(inScope);
  const documents = total(card.funnel.filter(inScope), (row) => row.documents);
  const rules = (card.rules[lane] ?? []).filter(([, , , threshold]) => threshold !== null).map(([name, , , threshold]) => [name, threshold]);
  const beyond = distinct(counted.map((row) => row.reason)).filter((reason) => !rules.some(([name]) => name === reason));
  const all = [...rules, ...beyond.map((reason) => [reason, counted.find((row) => row.reason === reason).threshold])];
  const count = (reason, name) => total(counted.filter((row) => row.reason === reason), (row) => row[name]);
  const shown = all.map(([reason, threshold]) => ({ reason, threshold, failing: count(reason, "failing"), only: count(reason, "only"), first: count(reason, "first") }))
    .filter((row) => !hideIdle || row.failing > 0);
  const heading = make("h3", {}, dot(`lane-${lane}`), `${laneWord(lane)} · ${whole(documents)} ${word("documents")}`);
  if (!shown.length) return [heading, make("p", { class: "empty" }, word("no_rules"))];
  const most = Math.max(...shown.map((row) => row.failing));
  const cells = shown.map((row) => [make("span", { class: "rule" }, ruleButton(row.reason, lane), make("code", {}, row.reason)), decimal(row.threshold),
    figure(row.failing), figure(row.only), figure(row.first), meter(row.failing / most, percent(row.failing, documents))]);
  const headings = [word("rule"), `#${word("threshold")}`, `#${word("failing")}`, `#${word("only")}`,
    `#${word("first")}`, word("share_of_lane")];
  return [heading, table(`${word("rules")} · ${laneWord(lane)}`, headings, cells)];
}

/** The rule's name; where it is a bound on a signal, it leads to the signal's histogram. */
function ruleButton(reason, lane) {
  const rule = (card.rules[lane] ?? []).find(([name]) => name === reason);
  if (!rule) return make("span", {}, reasonWord(reason));
  const open = () => {
    state.signal = rule[1];
    redrawView("histograms");
    document.getElementById("histograms").scrollIntoView();
    document.querySelector("#histograms select").focus({ preventScroll: true });
  };
  return make("button", { class: "link", type: "button", title: word("see_histogram", { signal: signalWord(rule[1]) }), onclick: open }, reasonWord(reason));
}

/** A small bar of some length from 0 to 1, and a text after it. */
const meter = (length, text) => make("span", { class: "meter" },
  make("i", { style: `width:${100 * (length || 0)}%` }), text ? make("span", {}, text) : null);

function histogramsView() {
  state.signal ??= busiestSignal();
  state.isLog ??= true; // what a rule refuses is mostly a thin tail
  const bounded = new Set(Object.values(card.rules).flat().filter((rule) => rule[3] !== null).map((rule) => rule[1]));
  const option = (signal) => [signal, `${signalWord(signal)} · ${signal}`];
  const names = Object.keys(card.signals).filter((signal) => card.histograms[signal]);
  const groups = [[word("with_rule"), names.filter((each) => bounded.has(each)).map(option)],
    [word("without_rule"), names.filter((each) => !bounded.has(each)).map(option)]];
  if (!names.length) return [make("p", { class: "empty" }, "–")];
  return controlled((refill) => [
    choice(word("signal"), groups.filter(([, each]) => each.length), state.signal, (value) => { state.signal = value; refill(); }),
    tick(word("log_scale"), state.isLog, (value) => { state.isLog = value; refill(); }),
  ], () => signalHistograms(state.signal));
}

/** The signal of the rule that removes most documents: the first thing worth looking at. */
function busiestSignal() {
  const isBound = (row) => /^(min|max)_/.test(row.reason);
  const [busiest] = sums(card.rule_counts.filter(isBound), (row) => row.reason.slice(4), (row) => row.first);
  return busiest ? busiest[0] : Object.keys(card.histograms)[0];
}

/** One histogram per lane above the same axis, with the lane's thresholds and the side that they refuse. */
function signalHistograms(signal) {
  const { unit, meaning } = card.signals[signal];
  const lanes = LANE_ORDER.filter((lane) => card.histograms[signal][lane]?.length);
  const isShare = unit === "share";
  const rules = lanes.map((lane) => (card.rules[lane] ?? []).filter((rule) => rule[1] === signal && rule[3] !== null));
  const ends = [...lanes.flatMap((lane) => card.histograms[signal][lane].map((bin) => bin[1])), ...rules.flat().map((rule) => rule[3])];
  const range = isShare ? [-0.005, Math.min(1, 1.1 * Math.max(...ends)) + 0.005] : countRange(ends);
  const traces = lanes.map((lane, at) => laneBars(lane, at, { signal, isShare }));
  const layout = { margin: { l: 8, r: 16, t: 30, b: 8 }, bargap: 0, shapes: [], annotations: [], grid: { rows: lanes.length, columns: 1, pattern: "independent", ygap: 0.42 } };
  lanes.forEach((lane, at) => addLane(layout, { lane, at, isShare, range, rules: rules[at], counts: traces[at].y }));
  const remarks = lanes.flatMap((lane, at) => (rules[at].length ? rules[at].map((rule) => refusedRemark(lane, rule)) : [word("no_threshold", { lane: laneWord(lane) })]));
  return [
    make("p", { class: "aside" }, make("code", {}, signal), " ", make("span", { lang: "en" }, `${meaning} (${unit})`)),
    chart(`${word("histograms")}: ${signalWord(signal)}`, 60 + 165 * lanes.length, traces, layout),
    make("ul", { class: "legend" }, remarks.map((remark) => make("li", {}, remark))),
  ];
}

/** Where a value stands on the axis of counts: logarithmic, with a place of its own for what is below 1. */
const ZERO_AT = 0.7;
const logPlace = (value) => (value < 1 ? Math.log10(ZERO_AT) : Math.log10(value));

const countRange = (ends) => [Math.log10(ZERO_AT) - 0.05, Math.max(1, ...ends.map(logPlace)) + 0.05];

/** An axis on which the smallest bar still has a height. */
function countAxis(counts) {
  const seen = counts.filter((count) => count > 0);
  if (!state.isLog || !seen.length) return { type: "linear", rangemode: "tozero" };
  return { type: "log", range: [Math.log10(0.5 * Math.min(...seen)), Math.log10(1.6 * Math.max(...seen))], tickvals: powers(0.5 * Math.min(...seen), 1.6 * Math.max(...seen)) };
}

/** At most five powers of ten from `smallest` to `largest`; undefined, which lets the chart choose, where there is none. */
function powers(smallest, largest) {
  const [first, last] = [Math.ceil(Math.log10(smallest)), Math.floor(Math.log10(largest))];
  const stride = Math.max(1, Math.ceil((last - first + 1) / 5));
  const exponents = [...Array(Math.max(0, last - first + 1)).keys()].map((at) => first + at).filter((each) => (last - each) % stride === 0);
  return exponents.length ? exponents.map((each) => 10 ** each) : undefined;
}

function laneBars(lane, at, { signal, isShare }) {
  const bins = card.histograms[signal][lane];
  const column = { documents: 2, chars: 3, tokens: 4 }[state.unit];
  const edges = bins.map((bin) => (isShare ? bin : bin.map(logPlace)));
  return {
    type: "bar", x: edges.map(([left, right]) => (left + right) / 2), width: edges.map(([left, right]) => right - left),
    y: bins.map((bin) => bin[column]), xaxis: `x${at + 1}`, yaxis: `y${at + 1}`, marker: { color: laneColour(lane), line: { width: 0.5, color: colour("card") } },
    customdata: bins.map((bin) => [decimal(bin[0]), decimal(bin[1]), whole(bin[column])]),
    hovertemplate: `%{customdata[0]} – %{customdata[1]}<br>%{customdata[2]} ${unitWord()}<extra>${laneWord(lane)}</extra>`,
  };
}

/** Axes, thresholds and heading of one lane's histogram. */
function addLane(layout, { lane, at, isShare, range, rules, counts }) {
  const axis = at + 1;
  const decades = [...Array(8).keys()];
  const ticks = isShare ? { tickformat: ".0%", nticks: 11 } : { tickvals: [Math.log10(ZERO_AT), ...decades], ticktext: ["0", ...decades.map((power) => compact(10 ** power))] };
  layout[`xaxis${axis}`] = { range, ...ticks, showgrid: false, fixedrange: true };
  layout[`yaxis${axis}`] = { ...countAxis(counts), nticks: 4, fixedrange: true,
    title: { text: `<b>${laneWord(lane)}</b>`, font: { color: laneColour(lane) } } };
  for (const [, , isMinimum, threshold] of rules) {
    const place = isShare ? threshold : logPlace(threshold);
    const shape = { xref: `x${axis}`, yref: `y${axis} domain`, y0: 0, y1: 1 };
    layout.shapes.push({ ...shape, type: "rect", x0: isMinimum ? range[0] : place, x1: isMinimum ? place : range[1], fillcolor: faint(colour("removed"), 0.13), line: { width: 0 }, layer: "below" });
    layout.shapes.push({ ...shape, type: "line", x0: place, x1: place, line: { color: colour("removed"), width: 2, dash: "dash" } });
    const position = (place - range[0]) / (range[1] - range[0]); // beside the line on the refused side, where there is room
    const isBefore = isMinimum ? position > 0.12 : position > 0.88;
    layout.annotations.push({ xref: `x${axis}`, x: place, yref: `y${axis} domain`, y: 1, yanchor: "bottom", xanchor: isBefore ? "right" : "left", showarrow: false,
      text: word(isMinimum ? "at_least" : "at_most", { value: decimal(threshold) }), font: { color: colour("removed"), size: 12 } });
  }
}

function refusedRemark(lane, [reason]) {
  const refused = total(card.rule_counts.filter((row) => row.lane === lane && row.reason === reason), (row) => row.failing);
  const documents = total(card.funnel.filter((row) => row.lane === lane), (row) => row.documents);
  return `${word("refused_here", { lane: laneWord(lane), count: whole(refused), share: percent(refused, documents) })} · ${reason}`;
}
