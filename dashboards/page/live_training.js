"use strict";
/* A training while it goes: new lines of its ledger are fetched and its curves grow. */

const RUNNING_POLL_MS = 2000;
const QUIET_POLL_MS = 15000;
const MAX_CURVE_POINTS = 3000;
const CURVES = [["loss", 1], ["learning_rate", 2], ["tokens_per_s", 4], ["grad_norm", 3]];

const emptyLedger = () => ({ offset: 0, points: [], evaluations: [], labels: 0, last: null });

async function openTraining() {
  live.ledger = emptyLedger();
  await fetchLedger();
  const subtitle = document.querySelector(".subtitle");
  delete subtitle.dataset.word;
  subtitle.textContent = live.name;
  show(null, [["live_training", liveTrainingView]]);
  watchLedger();
}

/** Adds what the ledger got since the last look; begins again where steps do not follow each other. */
async function fetchLedger() {
  for (let isBehind = true; isBehind;) {
    const tail = await ask(ofTraining("ledger"), { offset: live.ledger.offset });
    if (tail.restarted) live.ledger = emptyLedger();
    const { points, evaluations } = live.ledger;
    if (points.length && tail.points.length && tail.points[0][0] !== points.at(-1)[0] + 1) {
      live.ledger = emptyLedger();
      continue;
    }
    for (const point of tail.points) points.push(point);
    for (const each of tail.evaluations) evaluations.push(each);
    live.ledger.labels += tail.label_tokens;
    Object.assign(live.ledger, { offset: tail.offset, last: tail });
    isBehind = tail.is_behind;
  }
}

async function watchLedger() {
  for (;;) {
    await pause(live.ledger.last.state === "running" ? RUNNING_POLL_MS : QUIET_POLL_MS);
    try {
      await fetchLedger();
      await plotlyLoaded;
      drawLedger();
    } catch (error) {
      document.getElementById("ledger-state").replaceChildren(problem(error));
      if (error.status === 410 || error.status === 404) return;
    }
  }
}

function liveTrainingView() {
  const charts = CURVES.map(([name]) => make("div", {}, make("h3", {}, word(name)),
    make("div", { class: "chart", id: `curve-${name}`, role: "img", "aria-label": `${word(name)}: ${live.name}`, style: "height:260px" })));
  plotlyLoaded.then(drawLedger);
  return [make("div", { id: "ledger-state", role: "status" }), make("div", { class: "curves" }, charts), make("div", { id: "ledger-evaluations" })];
}

function drawLedger() {
  const { points, evaluations, last } = live.ledger;
  document.getElementById("ledger-state").replaceChildren(...ledgerFacts());
  const stride = Math.ceil(points.length / MAX_CURVE_POINTS) || 1;
  const shown = points.filter((_, at) => at % stride === 0 || at === points.length - 1);
  for (const [name, column] of CURVES) {
    const line = {
      type: "scatter", mode: shown.length > 1 ? "lines" : "markers", x: shown.map((point) => point[0]), y: shown.map((point) => point[column]),
      line: { color: colour(name === "loss" ? "lane-en" : "lane-code"), width: 1.6 }, hovertemplate: `${word("step")} %{x}: %{y:.4~g}<extra></extra>`,
    };
    const traces = name === "loss" ? [line, ...lossesMeasured(evaluations)] : [line];
    const axes = { height: 260, xaxis: { title: { text: word("step") }, rangemode: "tozero" }, yaxis: { rangemode: name === "loss" ? "normal" : "tozero", tickformat: name === "learning_rate" ? "~e" : "" } };
    Plotly.react(document.getElementById(`curve-${name}`), traces, layoutOf(axes), { displayModeBar: false, responsive: true });
  }
  const [step, values] = evaluations.at(-1) ?? [];
  document.getElementById("ledger-evaluations").replaceChildren(...(values ? [
    make("h3", {}, `${word("measured_losses")} · ${word("step_of", { step: whole(step) })}`),
    table(word("measured_losses"), [word("measure"), `#${word("value")}`], Object.entries(values).map(([name, value]) => [make("code", {}, name), decimal(value)])),
  ] : []));
  document.title = `${word(last.state)} · ${live.name}`;
}

function lossesMeasured(evaluations) {
  const names = distinct(evaluations.flatMap(([, values]) => Object.keys(values))).filter((name) => name.endsWith("loss"));
  return names.map((name) => ({
    type: "scatter", mode: "lines+markers", x: evaluations.map(([step]) => step), y: evaluations.map(([, values]) => values[name] ?? null),
    line: { color: colour("removed"), dash: "dot" }, marker: { size: 7 }, hovertemplate: `${word("step")} %{x}: %{y:.4f}<extra>${chartName(name)}</extra>`,
  }));
}

/** "48 minutes ago", in the page's language. */
function ago(seconds) {
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([each]) => seconds >= 2 * each || each === 1);
  return new Intl.RelativeTimeFormat(state.language === 0 ? "zh" : "en").format(-Math.round(seconds / size), unit);
}

function ledgerFacts() {
  const { points, last, labels } = live.ledger;
  const [step, loss, , , speed] = points.at(-1) ?? [-1, null, null, null, null];
  const facts = [
    [word("loss"), decimal(loss)], [word("label_tokens"), compact(labels)], [word("tokens_per_s"), speed === null ? "–" : compact(speed)],
    ...(last.num_parameters ? [[word("parameters"), compact(last.num_parameters)]] : []),
    ...(last.machine.device ? [[word("device"), `${last.machine.device}${last.machine.processes > 1 ? ` × ${last.machine.processes}` : ""}`]] : []),
  ];
  const place = last.steps ? word("step_of_all", { step: whole(step + 1), steps: whole(last.steps) }) : word("step_of", { step: whole(step + 1) });
  return [
    make("p", {}, stateMark(last.state), ` ${place} · ${word("quiet", { when: ago(last.quiet_s) })}`),
    make("ul", { class: "legend facts" }, facts.map(([name, value]) => make("li", {}, `${name} `, make("b", {}, value)))),
    ...(last.alarm ? [make("p", { class: "balance wrong" }, word("alarm_says", { alarm: alarmWord(last.alarm) }))] : []),
  ];
}
