"use strict";
/* What models can do: every measure in one table over the runs, scores with their error beside guessing; SFT's ratios. */

/** Measures by runs: values with their standard error, beside what guessing scores. */
function evaluationSection(runs) {
  const measured = runs.filter((run) => run.scores.length || Object.keys(run.results).length || Object.keys(run.after).length);
  if (!measured.length) return [];
  return [make("h3", {}, word("evaluation")), ...scoreCharts(measured), scoreTable(measured), ...ledgerTable(measured)].filter(Boolean);
}

const scoreKey = (score) => `${score.kind} ${score.name} ${score.prompt ?? ""}`;

/** A row per measure, a column per run; scores of different prompts are different measures. */
function scoreTable(runs) {
  const scored = runs.filter((run) => run.scores.length);
  if (!scored.length) return null;
  const measures = new Map(scored.flatMap((run) => run.scores).map((score) => [scoreKey(score), score]));
  const cells = [...measures].map(([key, score]) => [
    make("span", { class: "rule" }, scoreName(score), make("code", {}, score.setting ?? "")),
    score.items ?? score.documents ? figure(score.items ?? score.documents) : "–", score.chance == null ? "–" : percent(score.chance, 1), score.constant == null ? "–" : percent(score.constant, 1),
    ...scored.map((run) => scoreText(run.scores.find((each) => scoreKey(each) === key))),
  ]);
  return table(word("evaluation"), [word("measure"), `#${word("items")}`, `#${word("chance")}`, `#${word("constant")}`, ...scored.map((run) => `#${run.name}`)], cells);
}

const scoreName = ({ kind, name }) => (kind === "bits_per_byte" ? word("bits_per_byte", { lane: laneWord(name) }) : kind === "preferences" ? word("preferences") : name);

function scoreText(score) {
  if (!score) return "–";
  if (score.kind === "bits_per_byte") return figure(score.value, decimal(score.value));
  const clean = score.contaminated ? make("span", { class: "remark below" }, `${word("without_contaminated", { count: whole(score.contaminated), value: score.clean == null ? "–" : percent(score.clean, 1) })}`) : null;
  return make("span", {}, figure(score.value, `${percent(score.value, 1)} ± ${percent(score.error, 1)}`), clean);
}

/** Accuracies with 95 % intervals, one row of points per benchmark, and a tick at what guessing scores. */
function scoreCharts(runs) {
  const scored = runs.filter((run) => run.scores.some((score) => score.error != null));
  const names = distinct(scored.flatMap((run) => run.scores.filter((score) => score.error != null).map(scoreKey)));
  if (!names.length) return [];
  const byKey = new Map(scored.flatMap((run) => run.scores).map((score) => [scoreKey(score), score]));
  const labels = names.map((key) => chartName(scoreName(byKey.get(key))));
  const traces = scored.map((run, at) => {
    const scores = names.map((key) => run.scores.find((each) => scoreKey(each) === key));
    const shift = (at - (scored.length - 1) / 2) * Math.min(0.18, 0.7 / scored.length);
    return { type: "scatter", mode: "markers", name: chartName(run.name), y: names.map((_, row) => row + shift), x: scores.map((score) => score?.value ?? null),
      error_x: { type: "data", array: scores.map((score) => DEVIATIONS * (score?.error ?? 0)), thickness: 1.2, width: 3, color: runColour(at) },
      marker: { size: 9, color: runColour(at) }, hovertemplate: `${chartName(run.name)}: %{x:.1%}<extra></extra>` };
  });
  const guesses = { type: "scatter", mode: "markers", name: word("chance"), y: names.map((_, row) => row), x: names.map((key) => byKey.get(key).chance ?? null),
    marker: { symbol: "line-ns-open", size: 26, color: colour("ink-soft"), line: { width: 2 } }, hovertemplate: `${word("chance")}: %{x:.1%}<extra></extra>` };
  return [chart(`${word("evaluation")}: ${word("score_chart")}`, 90 + Math.max(44, 18 * scored.length) * names.length, [...traces, guesses], {
    showlegend: true, legend: { orientation: "h", y: 1, yanchor: "bottom" }, margin: { l: 8, r: 16, t: 40, b: 8 },
    xaxis: { tickformat: ".0%", range: [0, 1], nticks: 6 }, yaxis: { tickvals: names.map((_, row) => row), ticktext: labels, autorange: "reversed", showgrid: false },
  })];
}

/** What the ledgers hold: measured before the first step and after the last, then any other figures. */
function ledgerTable(runs) {
  const cells = runs.flatMap((run) => [
    ...distinct([...Object.keys(run.before), ...Object.keys(run.after)])
      .map((name) => [run.name, make("code", {}, name), decimal(run.before[name] ?? null), decimal(run.after[name] ?? null)]),
    ...Object.entries(run.results).map(([name, value]) => [run.name, make("code", {}, name), "", decimal(value)]),
  ]);
  const headings = [word("training"), word("measure"), `#${word("before")}`, `#${word("after")}`];
  return cells.length ? [folded(word("while_training"), table(word("while_training"), headings, cells))] : [];
}

/** A ratio of Chinese to English, or one language alone. */
const settingWord = (setting) => (/^(zh|en) only$/.test(setting) ? word("lane_only", { lane: laneWord(setting.slice(0, 2)) }) : setting);

/** The language ratios of SFT: a small chart per score over the settings, in their order, and all of it as a table. */
function ratioSection() {
  const rows = card.ratios ?? [];
  if (!rows.length) return [];
  const names = Object.keys(rows[0].scores).filter((name) => rows.every((row) => name in row.scores));
  const settings = rows.map((row) => settingWord(row.setting));
  const charts = names.map((name, at) => make("figure", {}, make("figcaption", {}, make("code", {}, name)), chart(`${word("ratios")}: ${name}`, 200, [{
    type: "scatter", mode: "lines+markers+text", x: settings, y: rows.map((row) => row.scores[name]), text: rows.map((row) => decimal(row.scores[name])),
    textposition: "top center", cliponaxis: false, line: { color: runColour(at), dash: "dot" }, marker: { size: 8 }, hovertemplate: "%{x}: %{y:.4f}<extra></extra>",
  }], { margin: { l: 8, r: 24, t: 24, b: 8 }, xaxis: { type: "category" }, yaxis: { nticks: 4 } })));
  const cells = rows.map((row) => [settingWord(row.setting), ...["zh", "en"].map((lane) => figure(row.rows_by_lane[lane] ?? 0)), ...names.map((name) => decimal(row.scores[name]))]);
  return [make("h3", {}, word("ratios")), make("p", { class: "note" }, word("ratios_note")), make("div", { class: "panels" }, charts),
    folded(word("as_table"), table(word("ratios"), [word("language_ratio"), ...["zh", "en"].map((lane) => `#${laneWord(lane)}`), ...names.map((name) => `#${name}`)], cells))];
}
