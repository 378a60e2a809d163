"use strict";
/* Other thresholds: every change is sent to the server, which counts over all documents what they would keep. */

const SETTLE_MS = 40;

/** Every rule of a lane, those that are off too: name, signal, isMinimum, threshold. */
const everyRule = (lane) => (live.raw.rules[lane] ?? []).map(([name, signal, isMinimum, threshold]) => ({ name, signal, isMinimum, threshold }));

function thresholdsView() {
  const lanes = ruleLanes().filter((lane) => everyRule(lane).length);
  if (!lanes.length) return [make("p", { class: "empty" }, word("no_rules"))];
  const chosen = state.thresholds ??= { lane: lanes[0], showsOff: false, bounds: {} };
  const results = make("div", { id: "what-if-results", "aria-live": "polite" });
  const count = counter(results, chosen);
  const bounds = make("div", {});
  const fill = () => bounds.replaceChildren(boundTable(chosen, count));
  const putBack = () => { chosen.bounds = {}; fill(); count(); };
  fill();
  count();
  return [
    make("div", { class: "controls" },
      choice(word("lane"), lanes.map((lane) => [lane, laneWord(lane)]), chosen.lane, (value) => { chosen.lane = value; fill(); }),
      tick(word("show_off"), chosen.showsOff, (value) => { chosen.showsOff = value; fill(); }),
      make("button", { type: "button", class: "more inline", onclick: putBack }, word("reset"))),
    results, bounds,
  ];
}

/** Asks once the reader's hand rests, and shows the newest answer only. */
function counter(results, chosen) {
  let [timer, number, isIndexed] = [0, 0, false];
  const run = async () => {
    const own = ++number;
    try {
      if (!isIndexed) await indexed(results);
      isIndexed = true;
      const change = changesOf(chosen);
      const started = performance.now();
      const answer = await ask(ofRun("what-if"), { change });
      const ms = performance.now() - started;
      if (own === number) results.replaceChildren(...whatIfParts(answer, change, ms));
    } catch (error) {
      if (own === number) results.replaceChildren(problem(error, run));
    }
  };
  return () => { clearTimeout(timer); timer = setTimeout(run, SETTLE_MS); };
}

const changesOf = ({ bounds }) => Object.entries(bounds).map(([rule, bound]) => `${rule}=${bound === null ? "off" : bound}`);

function boundTable(chosen, changed) {
  const rules = everyRule(chosen.lane).filter((rule) => chosen.showsOff || rule.threshold !== null || `${chosen.lane}.${rule.name}` in chosen.bounds);
  const counts = new Map(refusals(chosen.lane, card.rule_counts.filter((row) => row.lane === chosen.lane)).map((row) => [row.reason, row.failing]));
  const rows = rules.map((rule) => [
    make("span", { class: "rule" }, make("span", {}, reasonWord(rule.name)), make("code", {}, rule.name)),
    figure(counts.get(rule.name) ?? 0), rule.threshold === null ? word("is_off") : decimal(rule.threshold), boundInput(chosen, rule, changed)]);
  return table(`${word("what_if")} · ${laneWord(chosen.lane)}`, [word("rule"), `#${word("failing")}`, `#${word("now")}`, word("new_bound")], rows);
}

/** A slide, a number and a tick for off: three hands on one bound. */
function boundInput(chosen, rule, changed) {
  const key = `${chosen.lane}.${rule.name}`;
  const isShare = card.signals[rule.signal].unit === "share";
  const usual = rule.threshold ?? (isShare ? 0.1 : 100);
  const end = isShare ? Math.min(1, Math.max(4 * usual, 0.2)) : Math.max(4 * usual, 10);
  const now = key in chosen.bounds ? chosen.bounds[key] : rule.threshold;
  const label = (name) => `${reasonWord(rule.name)}: ${word(name)}`;
  const slide = make("input", { type: "range", min: 0, max: end, step: isShare ? 0.001 : end / 400, "aria-label": label("new_bound") });
  const number = make("input", { type: "number", min: 0, step: "any", "aria-label": label("new_bound") });
  const off = make("input", { type: "checkbox", "aria-label": label("off") });
  const show = (bound) => { off.checked = bound === null; number.value = bound ?? ""; slide.value = bound ?? usual; slide.disabled = number.disabled = bound === null; };
  const set = (bound) => {
    if (bound === rule.threshold) delete chosen.bounds[key];
    else chosen.bounds[key] = bound;
    row.classList.toggle("is-changed", key in chosen.bounds);
    changed();
  };
  slide.addEventListener("input", () => { const bound = Number(Number(slide.value).toPrecision(4)); number.value = bound; set(bound); });
  number.addEventListener("input", () => { if (number.value !== "" && Number.isFinite(number.valueAsNumber)) { slide.value = number.value; set(number.valueAsNumber); } });
  off.addEventListener("change", () => { const bound = off.checked ? null : rule.threshold ?? usual; show(bound); set(bound); });
  const row = make("div", { class: `bound ${key in chosen.bounds ? "is-changed" : ""}` }, slide, number, make("label", { class: "tick" }, off, ` ${word("off")}`));
  show(now);
  return row;
}

function whatIfParts(answer, change, ms) {
  const rows = answer.lanes.map((lane) => {
    const { kept_now: now, kept: [least, most], passing } = lane.amounts[state.unit];
    return [make("span", {}, dot(`lane-${lane.lane}`), ` ${laneWord(lane.lane)}`), figure(now, whole(now)), rangeFigure(least, most), differenceText(now, least, most),
      figure(passing[1], whole(passing[1])), figure(lane.newly_removed), figure(lane.newly_kept)];
  });
  const headings = ["lane", "#now", "#then", "#difference", "#pass_rules", "#newly_removed", "#newly_kept"];
  const named = headings.map((name) => (name.startsWith("#") ? `#${word(name.slice(1))}` : word(name)));
  const parts = [
    make("p", { class: "aside exact", role: "status" }, word("exact_over", { documents: whole(answer.documents), ms: whole(Math.round(ms)) }),
      answer.open_groups ? ` ${word("open_groups", { count: whole(answer.open_groups) })}` : ""),
    table(`${word("what_if")} · ${word("kept")} · ${unitWord()}`, named, rows),
  ];
  if (!change.length) return parts;
  const command = `ctllm decide ${live.name} ${answer.overrides.map((each) => `--set ${each}`).join(" ")} --dry-run`;
  return [...parts, make("p", { class: "aside" }, word("as_command"), " ", make("code", {}, command)),
    foldedLazily(word("border"), () => loaded(() => ask(ofRun("border"), { change }), borderList))];
}

/** A box whose content is made when it is opened first; it stays open while its question changes. */
function foldedLazily(title, content) {
  const box = make("details", { open: Boolean(state.showsBorder) }, make("summary", {}, title));
  const fill = () => { state.showsBorder = box.open; if (box.open && box.children.length === 1) box.append(content()); };
  if (box.open) fill();
  box.addEventListener("toggle", fill);
  return box;
}

const rangeFigure = (least, most) => figure(least, least === most ? whole(least) : word("range", { least: whole(least), most: whole(most) }));

function differenceText(now, least, most) {
  const signed = (number) => `${number > 0 ? "+" : ""}${whole(number)}`;
  if (least === now && most === now) return "=";
  return least === most ? signed(least - now) : word("range", { least: signed(least - now), most: signed(most - now) });
}

function borderList({ documents }) {
  if (!documents.length) return [make("p", { class: "empty" }, word("no_change"))];
  return [make("p", { class: "aside" }, word("border_note")), make("ul", { class: "hits" }, documents.map((each) => make("li", { class: "hit" },
    documentLine(each, make("b", { class: each.change === "newly_kept" ? "is-kept" : "is-removed" }, ` ${word(each.change)} `),
      `${reasonWord(each.rule)} ${decimal(each.value)} ${each.is_minimum ? "≥" : "≤"}? ${decimal(each.bound)}`))))];
}
