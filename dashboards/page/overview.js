"use strict";
/* How much: overview, mixture, source by reason, edits, failures. From stats/funnel.parquet and stats/edits.parquet. */

const MAX_BARS = 20;
const MAX_HEAT_SOURCES = 24;
const MAX_HEAT_SOURCES_ON_PAPER = 9;
const MAX_HEAT_ROWS_ON_PAPER = 780; // pixels: with heading and notes one sheet of A4
const LINES_AT_ONCE = 20;

const isKept = (row) => row.outcome === "kept";
const isRemoved = (row) => row.outcome === "removed";
const isCopy = (row) => row.reason.endsWith("_duplicate");
const byUnit = (row) => row[state.unit];
const unitWord = () => word(state.unit);

/** A source's name; "…" are the sources that the card adds up because a page cannot show them all. */
const OTHERS = "…";
const sourceWord = (source) => (source === OTHERS ? word("other_sources", { count: whole(card.num_merged_sources) }) : source);

/** A tile: a large figure, what it is, and what it is a part of. */
function tile(id, value, label, remark) {
  const large = make("data", { value, id: `tile-${id}`, title: whole(value) }, compact(value));
  return make("div", { class: `tile tile-${id}` }, make("p", { class: "large" }, large), make("p", { class: "label" }, label),
    make("p", { class: "remark" }, remark));
}

function overviewView() {
  const { read, kept, removed, failed } = card.accounts;
  const keptRows = card.funnel.filter(isKept);
  const [keptChars, keptTokens] = ["chars", "tokens"].map((unit) => total(keptRows, (row) => row[unit]));
  const [allChars, allTokens] = ["chars", "tokens"].map((unit) => total(card.funnel, (row) => row[unit]));
  const share = (part) => word("of_read", { share: percent(part, read) });
  const { count, removed: copies } = card.clusters;
  return [
    make("div", { class: "tiles" },
      tile("read", read, word("read"), word("in_sources", { count: whole(card.num_sources) })),
      tile("kept", kept, word("kept"), share(kept)),
      tile("removed", removed, word("removed"), share(removed)),
      tile("failed", failed, word("failed"), share(failed)),
      tile("chars", keptChars, word("kept_chars"), word("of_all_chars", { share: percent(keptChars, allChars) })),
      tile("tokens", keptTokens, word("kept_tokens"), word("of_all_tokens", { share: percent(keptTokens, allTokens) })),
      tile("clusters", count, word("clusters"), word("copies_removed", { count: whole(copies) }))),
    strip(card.accounts),
  ];
}

/** All records read as one bar: kept, removed by cause, failed; and whether they add up. */
function strip({ read, kept, removed, failed }) {
  const removedRows = card.funnel.filter(isRemoved);
  const count = (test) => total(removedRows.filter(test), (row) => row.documents);
  const isOther = (row) => row.reason === "other_language";
  const parts = [
    ["kept", word("kept"), kept],
    ["removed", word("by_rules"), count((row) => !isCopy(row) && !isOther(row))],
    ["copies", word("as_copies"), count(isCopy)],
    ["lane-other", word("other_lane"), count(isOther)],
    ["failed", word("failed"), failed],
  ].filter(([, , documents]) => documents > 0);
  const sum = word("balance", { read: whole(read), kept: whole(kept), removed: whole(removed), failed: whole(failed) });
  const isBalanced = read === kept + removed + failed;
  return make("div", { class: "strip" },
    make("div", { class: "pieces", "aria-hidden": "true" }, parts.map(([name, text, documents]) =>
      make("i", { style: `flex-grow:${documents};background:var(--${name})`, title: `${text}: ${whole(documents)}` }))),
    make("ul", { class: "legend" }, parts.map(([name, text, documents]) =>
      make("li", {}, dot(name), `${text} `, make("b", {}, whole(documents)), ` ${percent(documents, read)}`))),
    make("p", { class: isBalanced ? "balance" : "balance wrong", id: "balance" },
      `${sum} · ${word(isBalanced ? "balanced" : "unbalanced")}`));
}

const dot = (name) => make("i", { class: "dot", style: `background:var(--${name})` });

function mixtureView() {
  const kept = card.funnel.filter((row) => isKept(row) && byUnit(row) > 0);
  if (!kept.length) return [make("p", { class: "empty" }, word("nothing_kept"))];
  const lanes = LANE_ORDER.filter((lane) => kept.some((row) => row.lane === lane));
  const laneTotals = lanes.map((lane) => total(kept.filter((row) => row.lane === lane), byUnit));
  const ring = {
    type: "pie", hole: 0.62, values: laneTotals, labels: lanes.map(laneWord), sort: false, textinfo: "label+text",
    text: laneTotals.map((amount) => percent(amount, total(kept, byUnit))),
    textposition: "outside", marker: { colors: lanes.map(laneColour), line: { color: colour("card"), width: 2 } },
    hovertemplate: `%{label}<br>%{value:,} ${unitWord()}<extra></extra>`,
  };
  const middle = { text: `<b>${compact(total(kept, byUnit))}</b><br>${word(`${state.unit}_short`)}`, showarrow: false, font: { size: 15 } };
  const sources = sums(kept.filter((row) => row.source !== OTHERS), (row) => row.source, byUnit)
    .slice(0, MAX_BARS).map(([source]) => source);
  const beyond = total(kept.filter((row) => !sources.includes(row.source)), byUnit);
  const beyondRemark = word("beyond_sources", { amount: whole(beyond), unit: unitWord(), share: percent(beyond, total(kept, byUnit)) });
  const cells = kept.map((row) => [sourceWord(row.source), laneWord(row.lane), figure(byUnit(row)),
    percent(byUnit(row), total(card.funnel.filter((each) => each.source === row.source && each.lane === row.lane), byUnit))]);
  return charted(make("div", { class: "pair" },
    make("div", {}, make("h3", {}, word("by_lane")),
      chart(word("by_lane"), 290, [ring], { annotations: [middle], margin: { l: 60, r: 60, t: 40, b: 40 } })),
    make("div", {}, make("h3", {}, word("by_source")),
      chart(word("by_source"), Math.max(180, 60 + 30 * sources.length), sourceBars(kept, sources, lanes), {
        barmode: "stack", bargap: 0.3, margin: { l: 8, r: 76, t: 8, b: 8 }, annotations: sources.map((source) => keptShare(source, kept)),
        yaxis: { autorange: "reversed", type: "category", ticklabelstandoff: 8, showgrid: false },
        xaxis: { rangemode: "tozero", nticks: 6 },
      }),
      beyond ? make("p", { class: "aside" }, beyondRemark) : null)),
  word("mixture"), [word("source"), word("lane"), `#${unitWord()}`, `#${word("share_kept")}`], cells);
}

/** One stacked bar per source, a colour per lane. */
function sourceBars(kept, sources, lanes) {
  return lanes.map((lane) => {
    const amount = (source) => total(kept.filter((row) => row.lane === lane && row.source === source), byUnit);
    return {
      type: "bar", orientation: "h", name: laneWord(lane),
      y: sources.map((source) => chartName(sourceWord(source))), x: sources.map(amount),
      marker: { color: laneColour(lane) }, hovertemplate: `%{y} · ${laneWord(lane)}<br>%{x:,} ${unitWord()}<extra></extra>`,
    };
  });
}

/** The remark at the end of a source's bar: how much of the source was kept. */
function keptShare(source, kept) {
  const amount = total(kept.filter((row) => row.source === source), byUnit);
  const all = total(card.funnel.filter((row) => row.source === source), byUnit);
  return { x: amount, y: chartName(sourceWord(source)), text: percent(amount, all), xanchor: "left", showarrow: false, xshift: 4,
    font: { color: colour("ink-soft") } };
}

function heatView() {
  const lost = card.funnel.filter((row) => !isKept(row) && byUnit(row) > 0);
  if (!lost.length) return [make("p", { class: "empty" }, word("nothing_lost"))];
  const bySize = sums(card.funnel, (row) => row.source, byUnit).map(([source]) => source);
  const sources = bySize.slice(0, isPaper() ? MAX_HEAT_SOURCES_ON_PAPER : MAX_HEAT_SOURCES);
  const reasons = sums(lost, (row) => row.reason, byUnit).map(([reason]) => reason);
  const all = sources.map((source) => total(card.funnel.filter((row) => row.source === source), byUnit));
  const amounts = reasons.map((reason) => sources.map((source) =>
    total(lost.filter((row) => row.source === source && row.reason === reason), byUnit)));
  const trace = {
    type: "heatmap", x: sources.map((source) => chartName(sourceWord(source))), y: reasons.map(reasonWord), zmin: 0, xgap: 2, ygap: 2,
    z: amounts.map((row) => row.map((amount, at) => (amount ? Math.sqrt(amount / all[at]) : null))), // small shares stay visible
    text: amounts.map((row) => row.map((amount, at) => (amount ? percent(amount, all[at]) : ""))), texttemplate: "%{text}",
    customdata: amounts.map((row) => row.map(whole)), hoverongaps: false, textfont: { size: 11 },
    colorscale: [[0, colour("heat-low")], [1, colour("heat-high")]], showscale: false,
    hovertemplate: `%{x} · %{y}<br>%{customdata} ${unitWord()} (%{text})<extra></extra>`,
  };
  const rows = 26 * reasons.length;
  const holder = chart(word("heat"), 110 + (isPaper() ? Math.min(rows, MAX_HEAT_ROWS_ON_PAPER) : rows), [trace], {
    xaxis: { side: "top", tickangle: sources.length > 8 ? -35 : 0, showgrid: false, type: "category" },
    yaxis: { autorange: "reversed", showgrid: false, type: "category", ticklabelstandoff: 6 },
  });
  holder.style.minWidth = `${220 + 44 * sources.length}px`;
  const cells = reasons.flatMap((reason, row) => sources.map((source, at) => [sourceWord(source), reasonWord(reason), amounts[row][at], percent(amounts[row][at], all[at])]))
    .filter((cell) => cell[2]).map(([source, reason, amount, share]) => [source, reason, figure(amount), share]);
  const counts = { shown: sources.length, all: bySize.length };
  const others = sources.length < bySize.length ? [make("p", { class: "aside" }, word("heat_largest", counts))] : [];
  return [...others, ...charted(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": word("heat") }, holder),
    word("heat"), [word("source"), word("reason"), `#${unitWord()}`, `#${word("share_of_source")}`], cells)];
}

/** What was changed in the published text: personal data and cuts, by kind and lane. */
function editsView() {
  if (!card.edits.length) return [make("p", { class: "empty" }, word("no_edits"))];
  const rows = [...card.edits].sort((a, b) => b[3] - a[3]);
  const cells = rows.map(([lane, kind, ...counts]) =>
    [editWord(kind), make("code", {}, kind), laneWord(lane), ...counts.map((count) => figure(count))]);
  const headings = [word("edit"), word("kind"), word("lane"),
    ...["documents", "edit_count", "replaced", "chars"].map((name) => `#${word(name)}`)];
  return [table(word("edits"), headings, cells)];
}

/** Lines and paragraphs that many documents share, with a sample of their text. */
function linesView() {
  const { across_site: site, across_documents: all } = card.run.config.lines;
  if (!card.lines.length) return [make("p", { class: "empty" }, word(site === null && all === null ? "lines_off" : "no_lines"))];
  const cells = card.lines.map(([kind, host, documents, occurrences, chars, line, id]) =>
    [line, editWord(kind), make("code", {}, host), figure(documents), figure(occurrences), figure(chars), make("code", {}, id)]);
  const headings = [word("line"), word("kind"), word("site"),
    ...["documents", "occurrences", "chars"].map((name) => `#${word(name)}`), word("first_document")];
  const first = table(word("lines"), headings, cells.slice(0, LINES_AT_ONCE));
  return cells.length <= LINES_AT_ONCE ? [first] : [first, folded(word("more"), table(word("lines"), headings, cells.slice(LINES_AT_ONCE)))];
}

function contaminationView() {
  if (!card.contamination.length) {
    return [make("p", { class: "empty" }, word(card.run.config.decontamination.benchmarks.length ? "no_contamination" : "no_benchmarks"))];
  }
  const rows = [...card.contamination].sort((a, b) => b[3] - a[3] || b[2] - a[2]);
  const cells = rows.map(([lane, benchmark, documents, leaked, overlap, item, id]) =>
    [benchmark, laneWord(lane), figure(documents), figure(leaked), figure(overlap, percent(overlap, 1)), make("code", {}, item), make("code", {}, id)]);
  const headings = [word("benchmark"), word("lane"), `#${word("documents")}`, `#${word("leaked")}`, `#${word("max_overlap")}`, word("item"), word("best_document")];
  return [
    make("p", { class: "aside" }, word(`contamination_${card.run.config.decontamination.action ?? "drop"}`)),
    table(word("contamination"), headings, cells),
  ];
}

function failuresView() {
  const rows = card.funnel.filter((row) => row.outcome === "failed").sort((a, b) => b.documents - a.documents);
  if (!rows.length) return [make("p", { class: "empty" }, word("no_failures"))];
  const cells = rows.map((row) => [sourceWord(row.source), failureWord(row.reason), make("code", {}, row.reason),
    failureMeaning(row.reason), figure(row.documents)]);
  return [table(word("failures"), [word("source"), word("failed"), word("kind"), word("meaning"), `#${word("documents")}`], cells)];
}
