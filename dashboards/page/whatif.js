"use strict";
/* What if: any thresholds of a lane changed at once, counted on the sample; one rule alone from its exact histogram. */

const MAX_POSITIONS = 400;

let sampleOfLanes = null; // typed arrays by lane, once they are unpacked
let unpacking = null;

function whatIfView() {
  unpacking ??= unpackedSample(card.signal_sample).then((sample) => {
    sampleOfLanes = sample;
    redrawView("whatif");
  });
  if (!sampleOfLanes) return [make("p", { class: "empty" }, word("unpacking"))];
  const lanes = LANE_ORDER.filter((lane) => sampleOfLanes[lane]?.fate.length);
  if (!lanes.length) return [make("p", { class: "empty" }, word("nothing_read", { unit: unitWord() }))];
  state.whatIf ??= { lane: lanes[0], changed: {}, hideIdle: true };
  document.getElementById("whatif").dataset.sampled = "1";
  const outcome = make("div", { "aria-live": "polite" });
  const settle = () => outcome.replaceChildren(...whatIfOutcome(lanes));
  const [controls, body] = controlled((refill) => [
    choice(word("lane"), lanes.map((lane) => [lane, laneWord(lane)]), state.whatIf.lane, (lane) => { state.whatIf.lane = lane; refill(); }),
    tick(word("hide_idle"), state.whatIf.hideIdle, (hideIdle) => { state.whatIf.hideIdle = hideIdle; refill(); }),
    make("button", { type: "button", class: "plain", onclick: () => { state.whatIf.changed = {}; redrawView("whatif"); } }, word("as_configured")),
  ], () => [ruleSliders(state.whatIf.lane, settle)]);
  settle();
  return [outcome, controls, body];
}

/** The rules of a lane that can be tried: those whose signal was measured, off ones too, with the threshold tried. */
function triedRules(lane) {
  const settings = card.run.config.rules[laneRuleSet(lane)];
  const changed = state.whatIf.changed[lane] ?? {};
  return card.every_rule[lane]
    .filter(({ name, signal, threshold }) => card.histograms[signal]?.[lane] && (threshold !== null || settings[name] === null))
    .map((rule) => ({ ...rule, configured: rule.threshold, threshold: rule.name in changed ? changed[rule.name] : rule.threshold }));
}

/** The key of a lane's rules in the config. */
const laneRuleSet = (lane) => (lane === "zh" ? card.run.config.rules.zh_set : lane);

const isChanged = (rule) => rule.threshold !== rule.configured;

/** What every lane keeps now and under the thresholds tried, and the command that decides so. */
function whatIfOutcome(lanes) {
  const found = lanes.map((lane) => [lane, laneEstimate(lane)]);
  const sumOf = (unit) => {
    const parts = found.map(([, each]) => each[unit]);
    return { now: total(parts, (part) => part.now), then: total(parts, (part) => part.then), error: Math.hypot(...parts.map((part) => part.error)) };
  };
  const rows = [...found, [null, Object.fromEntries(UNITS.map((unit) => [unit, sumOf(unit)]))]].map(([lane, amounts]) =>
    [lane ? make("span", { class: "named" }, dot(`lane-${lane}`), laneWord(lane)) : word("all"),
      ...UNITS.flatMap((unit) => [figure(amounts[unit].now), estimated(amounts[unit])])]);
  const headings = [word("lane"), ...UNITS.flatMap((unit) => [`#${word(`${unit}_short`)}`, `#${word("then_kept")}`])];
  const unsure = total(found, ([, each]) => each.unsure);
  const commands = lanes.flatMap((lane) => triedRules(lane).filter(isChanged).map((rule) =>
    `--set rules.${laneRuleSet(lane)}.${rule.name}=${rule.threshold === null ? "null" : rule.threshold}`));
  const sampled = lanes.map((lane) => word("sampled_of", {
    lane: laneWord(lane), sampled: whole(sampleOfLanes[lane].fate.length), all: whole(lanePopulation(lane)) }));
  return [
    table(word("whatif"), headings, rows),
    make("p", { class: "aside" }, `${sampled.join(word("comma"))}${word("full_stop")} ${unsure ? word("unsure_copies", { count: whole(unsure) }) : ""}`),
    commands.length ? make("pre", { class: "command", tabindex: 0 }, `ctllm decide RUN ${commands.join(" ")} --dry-run`) : null,
  ].filter((each) => each);
}

const lanePopulation = (lane) => total(card.funnel.filter((row) => row.lane === lane), (row) => row.documents);

function laneEstimate(lane) {
  const keptRows = card.funnel.filter((row) => row.lane === lane && isKept(row));
  const now = Object.fromEntries(UNITS.map((unit) => [unit, total(keptRows, (row) => row[unit])]));
  const rules = triedRules(lane);
  if (rules.some(isChanged)) return estimate(sampleOfLanes[lane], rules, { population: lanePopulation(lane), now });
  return { ...Object.fromEntries(UNITS.map((unit) => [unit, { now: now[unit], then: now[unit], error: 0 }])), unsure: 0 };
}

/** A figure with its interval where it has one, and the change. */
function estimated({ now, then, error }) {
  const change = now ? (then - now) / now : 0;
  const interval = error ? ` ± ${compact(Math.ceil(error))}` : "";
  const sign = change ? ` (${change > 0 ? "+" : "−"}${percent(Math.abs(then - now), now)})` : "";
  return make("data", { value: Math.round(then), "data-error": Math.ceil(error), class: change ? "number changed" : "number" },
    `${whole(Math.round(then))}${interval}${sign}`);
}

/** One row per rule: a slider over the edges of its histogram, a field for any number, a tick to switch it off, and what it refuses. */
function ruleSliders(lane, settle) {
  const refused = (rule) => total(card.rule_counts.filter((row) => row.lane === lane && row.reason === rule.name), (row) => row.failing_documents);
  const rules = triedRules(lane).filter((rule) => !state.whatIf.hideIdle || isChanged(rule) || refused(rule));
  const counts = rules.map(() => [make("td", { class: "number" }), make("td", { class: "number" })]);
  const recount = () => {
    const all = triedRules(lane);
    const { only } = failures(sampleOfLanes[lane], all);
    const isAny = all.some(isChanged);
    rules.forEach(({ name }, at) => {
      const number = all.findIndex((rule) => rule.name === name);
      counts[at][0].replaceChildren(refusedAlone(lane, all[number]));
      counts[at][1].replaceChildren(refusedOnly(lane, all[number], { only: only[number], isAny }));
    });
  };
  const set = (name, threshold) => {
    (state.whatIf.changed[lane] ??= {})[name] = threshold;
    recount();
    settle();
  };
  const rows = rules.map((rule, at) => make("tr", {},
    make("th", { scope: "row" }, make("span", { class: "rule" }, reasonWord(rule.name), make("code", {}, rule.name))),
    ...thresholdCells(lane, rule, (threshold) => set(rule.name, threshold)), ...counts[at]));
  const headings = [["rule"], ["is_on"], ["slider", "slide"], ["threshold"], ["refuses", "number"], ["only_documents", "number"]]
    .map(([name, kind]) => make("th", { scope: "col", class: kind }, word(name)));
  recount();
  const caption = `${word("whatif")} · ${laneWord(lane)}`;
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, make("table", { class: "sliders" },
    make("caption", { class: "unseen" }, caption), make("thead", {}, make("tr", {}, headings)), make("tbody", {}, rows)));
}

/** The three controls of a threshold, which follow each other. */
function thresholdCells(lane, rule, set) {
  const label = (part) => `${reasonWord(rule.name)} · ${word(part)}`;
  const places = thresholdPlaces(lane, rule);
  const placeOf = (threshold) => places.reduce((best, place, at) => (Math.abs(place - threshold) < Math.abs(places[best] - threshold) ? at : best), 0);
  let latest = rule.threshold ?? rule.configured ?? (rule.isMinimum ? places[0] : places.at(-1));
  const isShare = card.signals[rule.signal].unit === "share";
  const slider = make("input", { type: "range", min: 0, max: places.length - 1, value: placeOf(latest), "aria-label": label("slider") });
  const field = make("input", { type: "number", step: "any", min: 0, max: isShare && 1, value: latest, "aria-label": label("threshold") });
  const box = make("input", { type: "checkbox", checked: rule.threshold !== null, "aria-label": label("is_on") });
  const follow = () => {
    slider.disabled = field.disabled = !box.checked;
    slider.setAttribute("aria-valuetext", decimal(latest));
  };
  const apply = () => { follow(); set(box.checked ? latest : null); };
  slider.addEventListener("input", () => { latest = places[slider.valueAsNumber]; field.value = latest; apply(); });
  field.addEventListener("input", () => {
    if (!field.checkValidity() || Number.isNaN(field.valueAsNumber)) return;
    latest = field.valueAsNumber;
    slider.value = placeOf(latest);
    apply();
  });
  box.addEventListener("change", apply);
  follow();
  return [make("td", {}, box), make("td", { class: "slide" }, slider), make("td", {}, field)];
}

/** Where a slider stops: the edges of the histogram, at which one rule alone is counted exactly, and the configured bound. */
function thresholdPlaces(lane, { signal, configured }) {
  const edges = card.histograms[signal][lane].flatMap(([left, right]) => [left, right]).map((edge) => Number(edge.toPrecision(6)));
  const places = distinct([...edges, ...(configured === null ? [] : [configured])]).sort((a, b) => a - b);
  return places.slice(0, MAX_POSITIONS);
}

/** The documents that a rule alone refuses in the whole run: exact, or between two bounds where its threshold is inside a bin. */
function refusedAlone(lane, rule) {
  const rows = card.rule_counts.filter((row) => row.lane === lane && row.reason === rule.name);
  if (rule.threshold === null) return figure(0);
  if (!isChanged(rule)) return figure(total(rows, (row) => row.failing_documents));
  const [least, most] = refusedBetween(card.histograms[rule.signal][lane], rule);
  return figure(least, least === most ? whole(least) : `${whole(least)} – ${whole(most)}`);
}

/** The documents that only this rule refuses: counted as configured, estimated from the sample once anything changed. */
function refusedOnly(lane, rule, { only, isAny }) {
  const rows = card.rule_counts.filter((row) => row.lane === lane && row.reason === rule.name);
  if (!isAny) return figure(total(rows, (row) => row.only_documents));
  const [size, population] = [sampleOfLanes[lane].fate.length, lanePopulation(lane)];
  const share = only / size;
  const error = DEVIATIONS * population * Math.sqrt(((share * (1 - share) + 1 / size) / size) * Math.max(0, 1 - size / population));
  return figure(Math.round(population * share), `${whole(Math.round(population * share))}${error >= 0.5 ? ` ± ${whole(Math.ceil(error))}` : ""}`);
}
