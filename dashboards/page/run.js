"use strict";
/* How it was made: training runs, stages, inputs, config. */

const MAX_INPUTS = 100;
const MIN_COMPARED = 3;

function trainingView() {
  const runs = card.trainings;
  return [make("div", { class: "curves" }, runs.map(lossCurve)), summaryTable(runs), ...comparison(runs),
    ...runs.flatMap(resultTable), ...runs.filter((run) => run.samples).flatMap(sampleTable)];
}

/** Runs of one kind beside each other, such as the language ratios of SFT: what three or more of them have measured. */
function comparison(runs) {
  const all = distinct(runs.flatMap((run) => Object.keys(run.after)));
  const names = all.filter((name) => runs.filter((run) => name in run.after).length >= MIN_COMPARED);
  if (!names.length) return [];
  const compared = runs.filter((run) => names.some((name) => name in run.after));
  const lines = names.map((name, at) => ({
    type: "scatter", mode: "lines+markers", name: chartName(name), x: compared.map((run) => chartName(run.name)),
    y: compared.map((run) => run.after[name] ?? null), marker: { size: 8 },
    line: { color: colour(["lane-zh", "lane-en", "lane-code", "kept", "removed"][at % 5]), dash: "dot" },
    hovertemplate: `%{x}: %{y:.4f}<extra>${chartName(name)}</extra>`,
  }));
  return [make("h3", {}, word("comparison")), chart(word("comparison"), 300, lines, {
    showlegend: true, xaxis: { type: "category" }, yaxis: { title: { text: word("after") } },
  })];
}

/** The loss of every step, and every measured loss (names that end in "loss") at the step it was measured after. */
function lossCurve(run, at) {
  const hovertemplate = (name) => `${word("step")} %{x}: %{y:.4f}<extra>${chartName(name)}</extra>`;
  const line = {
    type: "scatter", mode: "lines", x: run.curve.map((point) => point[0]), y: run.curve.map((point) => point[1]),
    line: { color: colour(["lane-en", "lane-code", "kept"][at % 3]), width: 1.6 }, hovertemplate: hovertemplate(word("loss")),
  };
  const names = distinct(run.evaluations.flatMap(([, values]) => Object.keys(values))).filter((name) => name.endsWith("loss"));
  const measured = names.map((name) => ({
    type: "scatter", mode: "lines+markers", x: run.evaluations.map(([step]) => step),
    y: run.evaluations.map(([, values]) => values[name] ?? null),
    line: { color: colour("removed"), dash: "dot" }, marker: { size: 7 }, hovertemplate: hovertemplate(name),
  }));
  return make("div", {}, make("h3", {}, run.summary.stage ? `${run.name} · ${run.summary.stage}` : run.name),
    chart(`${word("loss")}: ${run.name}`, 260, [line, ...measured], {
      xaxis: { title: { text: word("step") }, rangemode: "tozero" }, yaxis: { title: { text: word("loss") } },
    }));
}

function summaryTable(runs) {
  const cells = runs.map((run) => [run.name, figure(run.steps), figure(run.label_tokens),
    run.curve.length ? `${decimal(run.curve[0][1])} → ${decimal(run.curve.at(-1)[1])}` : "–"]);
  return table(word("training"), [word("training"), `#${word("steps")}`, `#${word("label_tokens")}`, `#${word("first_last")}`], cells);
}

/** What was measured of one run: before and after training, then the figures of its evaluation. */
function resultTable(run) {
  const names = distinct([...Object.keys(run.before), ...Object.keys(run.after)]);
  const cells = [
    ...names.map((name) => [make("code", {}, name), decimal(run.before[name] ?? null), decimal(run.after[name] ?? null)]),
    ...Object.entries(run.results).map(([name, value]) => [make("code", {}, name), "", decimal(value)]),
  ];
  const caption = `${word("evaluation")} · ${run.name}`;
  return cells.length ? [make("h3", {}, caption), table(caption, [word("measure"), `#${word("before")}`, `#${word("after")}`], cells)] : [];
}

/** What the model wrote after fixed beginnings, at the last evaluation. */
function sampleTable(run) {
  const [step, samples] = run.samples;
  const caption = `${word("samples")} · ${run.name} · ${word("step")} ${whole(step)}`;
  return [make("h3", {}, caption), table(caption, [word("beginning"), word("continuation")], Object.entries(samples))];
}

function stagesView() {
  const longest = Math.max(...card.stages.map((stage) => stage.seconds), 0);
  const count = ([name, number]) => make("li", {}, `${name} `, make("b", {}, whole(number)));
  const stages = card.stages.map(({ stage, seconds, counts }) => [stageWord(stage), figure(seconds, decimal(seconds)),
    meter(seconds / longest), make("ul", { class: "legend" }, Object.entries(counts).map(count))]);
  const inputs = card.inputs.slice(0, MAX_INPUTS).map(([source, format, files, size]) =>
    [source, format, figure(files), figure(size, bytesText(size))]);
  return [
    table(word("stages"), [word("stage"), `#${word("seconds")}`, "", word("counts")], stages),
    folded(word("inputs"), table(word("inputs"), [word("source"), word("format"), `#${word("files")}`, `#${word("bytes")}`], inputs)),
    folded(word("config"), make("pre", { tabindex: 0 }, JSON.stringify(card.run.config, null, 2))),
  ];
}

function bytesText(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(size, 1)) / 10));
  return `${decimal(size / 1024 ** power)} ${units[power]}`;
}
