"use strict";
/* How models were trained: summary, curves of every run, evaluation side by side, ratios, texts. */

const MIN_COMPARED = 3;
const MAX_CURVES_AT_ONCE = 3;
/** A panel of a run's curves: name, place of its value in a point, whether the axis is logarithmic. */
const PANELS = [["loss", 1, false], ["learning_rate", 2, false], ["grad_norm", 3, true], ["tokens_per_s", 4, false]];
const [MFU_AT, GEMM_AT] = [5, 6];
const RUN_COLOURS = ["lane-en", "lane-code", "kept", "lane-zh", "copies", "removed"];
const runColour = (at) => colour(RUN_COLOURS[at % RUN_COLOURS.length]);

function trainingView() {
  const runs = card.trainings;
  return [summaryTable(runs), ...curvesOf(runs), ...evaluationSection(runs), ...ratioSection(), ...comparison(runs), ...sampleTable(runs)];
}

/** The curves of all runs, or of a chosen one where there are many. */
function curvesOf(runs) {
  if (runs.length <= MAX_CURVES_AT_ONCE) return runs.flatMap(runCurves);
  state.training ??= "0";
  const options = runs.map((run, at) => [String(at), run.name]);
  return controlled((refill) => choice(word("curves_of"), options, state.training, (at) => { state.training = at; refill(); }),
    () => runCurves(runs[state.training], Number(state.training)));
}

/** One row per run: what it did, how fast, on what. */
function summaryTable(runs) {
  const cells = runs.map((run) => {
    const { stage, steps, finished, num_parameters: parameters, first_loss: first, last_loss: last, speed } = run.summary;
    const ends = run.curve.length ? [first ?? run.curve[0][1], last ?? run.curve.at(-1)[1]] : null;
    const state = steps ? `${whole(run.steps)} / ${whole(steps)}${finished ? "" : ` · ${word("unfinished")}`}` : whole(run.steps);
    const skipped = run.troubles.filter(([, kind]) => kind === "skipped" || kind === "left_out").length;
    const { device, processes = 1, compute_dtype: type } = run.machine;
    const machine = device ? make("span", { class: "remark below" }, `${processes} × ${device}, ${type}`) : null;
    return [make("span", {}, run.name, machine), make("span", { class: "named" }, stage ? trainingStageWord(stage) : "–"), figure(run.steps, state), figure(run.label_tokens), parameters ? figure(parameters) : "–",
      ends ? `${decimal(ends[0])} → ${decimal(ends[1])}` : "–", ...speedCells(run, speed), figure(skipped), figure(run.troubles.length - skipped)];
  });
  const headings = ["training", "stage", "#steps", "#label_tokens", "#num_parameters", "#first_last", "#tokens_per_s", "#mfu", "#gemm_share", "#skipped", "#alarms"]
    .map((name) => (name.startsWith("#") ? `#${word(name.slice(1))}` : word(name)));
  return table(word("training"), headings, cells);
}

function speedCells(run, speed) {
  const share = (value) => (value == null ? "–" : percent(value, 1));
  return [run.summary.tokens_per_s ? figure(run.summary.tokens_per_s, compact(run.summary.tokens_per_s)) : "–", share(speed?.mfu), share(speed?.gemm_share)];
}

/** The curves of a run, each over its steps, with checkpoints and troubles; what these are, and all of it as a table. */
function runCurves(run, at) {
  if (!run.curve.length) return [make("h3", {}, run.name), make("p", { class: "empty" }, word("no_steps"))];
  const title = run.summary.stage ? `${run.name} · ${trainingStageWord(run.summary.stage)}` : run.name;
  const panels = PANELS.map(([name, place, isLog]) => make("figure", {},
    make("figcaption", {}, word(name)), curveChart(run, { name, place, isLog, ink: runColour(at) })));
  const speeds = run.curve.some((point) => point[MFU_AT] != null) ? ["mfu", MFU_AT] : run.curve.some((point) => point[GEMM_AT] != null) ? ["gemm_share", GEMM_AT] : null;
  if (speeds) panels.push(make("figure", {}, make("figcaption", {}, word(speeds[0])), curveChart(run, { name: speeds[0], place: speeds[1], isLog: false, ink: runColour(at) })));
  return [make("h3", {}, title), make("div", { class: "panels" }, panels), ...troubleList(run), folded(word("checkpoints"), checkpointTable(run)),
    folded(word("as_table"), curveTable(run, title))];
}

function curveChart(run, { name, place, isLog, ink }) {
  const points = run.curve.filter((point) => point[place] !== null && point[place] !== undefined);
  const isShare = place === MFU_AT || place === GEMM_AT;
  const line = { type: "scatter", mode: "lines", x: points.map(([step]) => step), y: points.map((point) => point[place]), line: { color: ink, width: 1.5 },
    hovertemplate: `${word("step")} %{x}: %{y:.4~g}<extra>${word(name)}</extra>` };
  const traces = [line, ...(name === "loss" ? heldOutLosses(run) : []), ...troubleMarks(run, points, place)];
  const shapes = run.checkpoints.map(([step]) => ({ type: "line", x0: step, x1: step, yref: "paper", y0: 0, y1: 1, line: { color: colour("line"), width: 1 }, layer: "below" }));
  const yaxis = isLog ? { type: "log", nticks: 4, dtick: 1 } : { rangemode: name === "loss" ? "normal" : "tozero", nticks: 5, tickformat: isShare ? ".0%" : "~s" };
  if (name === "learning_rate") yaxis.tickformat = "~e";
  if (name === "loss") yaxis.tickformat = "";
  return chart(`${word(name)}: ${run.name}`, 190, traces, { shapes, xaxis: { nticks: 5, rangemode: "tozero" }, yaxis });
}

/** Every measured loss (names that end in "loss") at the step it was measured after. */
function heldOutLosses(run) {
  const names = distinct(run.evaluations.flatMap(([, values]) => Object.keys(values))).filter((name) => name.endsWith("loss"));
  return names.map((name) => ({
    type: "scatter", mode: "lines+markers", x: run.evaluations.map(([step]) => step), y: run.evaluations.map(([, values]) => values[name] ?? null),
    line: { color: colour("removed"), dash: "dot" }, marker: { size: 6 }, hovertemplate: `${word("step")} %{x}: %{y:.4f}<extra>${chartName(name)}</extra>`,
  }));
}

function troubleMarks(run, points, place) {
  const values = new Map(points.map((point) => [point[0], point[place]]));
  const seen = run.troubles.filter(([step]) => values.has(step));
  return seen.length ? [{ type: "scatter", mode: "markers", x: seen.map(([step]) => step), y: seen.map(([step]) => values.get(step)),
    marker: { color: colour("accent"), symbol: "x", size: 8 }, text: seen.map(([, kind]) => chartName(troubleWord(kind))), hovertemplate: "%{text}<extra></extra>" }] : [];
}

/** A trouble in words. */
const troubleWord = (kind) => (kind === "skipped" || kind === "left_out" ? word(kind) : `${word("step_alarm")}: ${alarmWord(kind)}`);

function troubleList(run) {
  if (!run.troubles.length) return [];
  const cells = run.troubles.map(([step, kind, norm]) => [figure(step), troubleWord(kind), decimal(norm)]);
  return [folded(word("troubles_of", { count: whole(run.troubles.length) }),
    table(`${word("alarms")} · ${run.name}`, [`#${word("step")}`, word("what"), `#${word("grad_norm")}`], cells))];
}

function checkpointTable(run) {
  if (!run.checkpoints.length) return make("p", { class: "empty" }, word("no_checkpoints"));
  const cells = run.checkpoints.map(([step, labels, digest]) => [figure(step), figure(labels), make("code", {}, digest.slice(0, 16))]);
  return table(`${word("checkpoints")} · ${run.name}`, [`#${word("step")}`, `#${word("label_tokens")}`, word("weights_digest")], cells);
}

/** A few points of the curves in numbers: what the charts say to those who do not see them. */
function curveTable(run, title) {
  const stride = Math.max(1, Math.ceil(run.curve.length / 20));
  const shown = run.curve.filter((_, at) => at % stride === 0 || at === run.curve.length - 1);
  const cells = shown.map(([step, loss, rate, norm, speed]) => [figure(step), decimal(loss), decimal(rate), decimal(norm), decimal(speed)]);
  return table(title, ["step", "loss", "learning_rate", "grad_norm", "tokens_per_s"].map((name) => `#${word(name)}`), cells);
}

/** Measures that three or more runs have, such as those of the language ratios, in one chart. */
function comparison(runs) {
  const all = distinct(runs.flatMap((run) => Object.keys(run.after)));
  const names = all.filter((name) => runs.filter((run) => name in run.after).length >= MIN_COMPARED);
  if (!names.length || card.ratios?.length) return [];
  const compared = runs.filter((run) => names.some((name) => name in run.after));
  const series = names.map((name) => [name, compared.map((run) => run.after[name] ?? null)]);
  return [make("h3", {}, word("comparison")), ...charted(scoreLines(word("comparison"), compared.map((run) => run.name), series), word("comparison"),
    [word("measure"), ...compared.map((run) => `#${run.name}`)], series.map(([name, values]) => [make("code", {}, name), ...values.map(decimal)]))];
}

/** One line per measure over runs or settings. */
function scoreLines(label, groups, series) {
  const lines = series.map(([name, values], at) => ({
    type: "scatter", mode: "lines+markers", name: chartName(name), x: groups.map(chartName), y: values, marker: { size: 8 },
    line: { color: runColour(at), dash: "dot" }, hovertemplate: `%{x}: %{y:.4f}<extra>${chartName(name)}</extra>`,
  }));
  return chart(label, 300, lines, { showlegend: true, xaxis: { type: "category" }, yaxis: { title: { text: word("measured_value") } } });
}

/** What the models wrote after fixed beginnings, at their last evaluation. */
function sampleTable(runs) {
  const written = runs.filter((run) => run.samples);
  const beginnings = distinct(written.flatMap((run) => Object.keys(run.samples[1])));
  const cells = beginnings.flatMap((beginning) => written.filter((run) => beginning in run.samples[1])
    .map((run) => [beginning, run.samples[1][beginning], `${run.name} · ${whole(run.samples[0])}`]));
  return cells.length ? [make("h3", {}, word("model_texts")),
    table(word("model_texts"), [word("beginning"), word("continuation"), `${word("training")} · ${word("step")}`], cells)] : [];
}
