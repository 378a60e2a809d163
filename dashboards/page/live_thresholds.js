"use strict";
/* Other thresholds: every change is sent to the server, which counts over all documents what they would keep. */

const SETTLE_MS = 40;

/** The rules of a lane whose signal was measured, those that are off too, each with the threshold that is tried. */
function boundsTried(lane, bounds) {
  const measured = (card.every_rule[lane] ?? []).filter(({ signal }) => card.histograms[signal]?.[lane]?.length);
  return measured.map((rule) => {
    const key = `${lane}.${rule.name}`;
    return { ...rule, key, configured: rule.threshold, threshold: key in bounds ? bounds[key] : rule.threshold };
  });
}

function thresholdsView() {
  const lanes = ruleLanes().filter((lane) => boundsTried(lane, {}).length);
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

/** A row per rule: what it refuses now, its threshold now, and the three controls of another one. */
function boundTable(chosen, changed) {
  const { lane, bounds } = chosen;
  const rules = boundsTried(lane, bounds).filter((rule) => chosen.showsOff || rule.threshold !== null || isChanged(rule));
  const counts = new Map(refusals(lane, card.rule_counts.filter((row) => row.lane === lane)).map((row) => [row.reason, row.failing]));
  const rows = rules.map((rule) => {
    const row = make("tr", { class: isChanged(rule) && "is-changed" });
    const set = (threshold) => {
      if (threshold === rule.configured) delete bounds[rule.key];
      else bounds[rule.key] = threshold;
      row.classList.toggle("is-changed", rule.key in bounds);
      changed();
    };
    row.append(make("th", { scope: "row" }, make("span", { class: "rule" }, make("span", {}, reasonWord(rule.name)), make("code", {}, rule.name))),
      make("td", { class: "number" }, figure(counts.get(rule.name) ?? 0)), make("td", { class: "number" }, rule.configured === null ? word("is_off") : decimal(rule.configured)),
      ...thresholdCells(lane, rule, set));
    return row;
  });
  const caption = `${word("what_if")} · ${laneWord(lane)}`;
  const built = table(caption, [word("rule"), `#${word("failing")}`, `#${word("now")}`, word("is_on"), word("new_bound"), ""], []);
  built.querySelector("table").classList.add("sliders");
  built.querySelector("tbody").replaceChildren(...rows);
  return built;
}

function whatIfParts(answer, change, ms) {
  const rows = answer.lanes.map((lane) => {
    const { kept_now: now, kept: [least, most], passing } = lane.amounts[state.unit];
    return [make("span", {}, dot(`lane-${lane.lane}`), ` ${laneWord(lane.lane)}`), figure(now, whole(now)), rangeFigure(least, most), differenceText(now, least, most),
      figure(passing[1], whole(passing[1])), figure(lane.newly_removed), figure(lane.newly_kept)];
  });
  const headings = ["lane", "#now", "#then", "#difference", "#pass_rules", "#documents_newly_removed", "#documents_newly_kept"];
  const named = headings.map((name) => (name.startsWith("#") ? `#${word(name.slice(1))}` : word(name)));
  const isOpen = answer.lanes.some(({ amounts }) => amounts[state.unit].kept[0] !== amounts[state.unit].kept[1]);
  const parts = [
    make("p", { class: "aside exact", role: "status" }, word("exact_over", { documents: whole(answer.documents), ms: whole(Math.round(ms)) }),
      isOpen ? ` ${word("open_groups", { count: whole(answer.open_groups) })}` : ""),
    table(`${word("what_if")} · ${word("kept")} · ${unitWord()}`, named, rows),
  ];
  if (!change.length) return parts;
  const command = `ctllm decide ${live.name} ${answer.overrides.map((each) => `--set ${each}`).join(" ")} --dry-run`;
  return [...parts, make("p", { class: "aside" }, word("as_command"), " ", make("code", {}, command)),
    foldedLazily(word("documents_at_border"), () => loaded(() => ask(ofRun("border"), { change }), borderList))];
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
  if (least === now && most === now) return "=";
  return least === most ? signedText(least - now) : word("range", { least: signedText(least - now), most: signedText(most - now) });
}

function borderList({ documents }) {
  if (!documents.length) return [make("p", { class: "empty" }, word("no_change"))];
  const sign = ({ change, is_minimum }) => (change === "newly_removed" ? (is_minimum ? "<" : ">") : is_minimum ? "≥" : "≤");
  return [make("p", { class: "aside" }, word("border_note")), make("ul", { class: "hits" }, documents.map((each) => make("li", { class: "hit" },
    documentLine(each, make("b", { class: each.change === "newly_kept" ? "is-kept" : "is-removed" }, ` ${word(each.change)} `),
      make("span", { class: "nowrap" }, `${reasonWord(each.rule)} ${decimal(each.value)} ${sign(each)} ${decimal(each.bound)}`)))))];
}
