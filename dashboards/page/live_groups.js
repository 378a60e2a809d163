"use strict";
/* Clusters of copies with all their members, two texts side by side, and one source looked at alone. */

const COMPARED_CHARS = 12000;
const MAX_CELLS = 4e6; // of the table that finds the longest common subsequence: 8 MB

function groupsView() {
  const chosen = state.groups ??= { kind: "" };
  const kinds = ["exact", "near", "url"].map((kind) => [kind, word(kind)]);
  return controlled(
    (refill) => choice(word("kind_of_copy"), [["", word("any_kind")], ...kinds], chosen.kind, (value) => { chosen.kind = value; refill(); }),
    () => [loadedWhenIndexed(() => ask(ofRun("clusters"), chosen), (answer) => clusterList(chosen, answer))]);
}

function clusterList(chosen, first) {
  if (!first.clusters.length) return [make("p", { class: "empty" }, word("no_clusters"))];
  const list = make("ul", { class: "hits" });
  const remark = make("p", { class: "aside", role: "status" });
  const more = make("button", { type: "button", class: "more" }, word("more"));
  const add = (answer) => {
    list.append(...answer.clusters.map(clusterLine));
    remark.textContent = word("shown_of", { shown: whole(list.children.length), total: whole(first.total) });
    more.hidden = list.children.length >= first.total || !answer.clusters.length;
    more.onclick = () => goOn(more, ask(ofRun("clusters"), { ...chosen, offset: list.children.length }), add);
  };
  add(first);
  return [remark, list, more];
}

function clusterLine(cluster) {
  const place = make("div", {});
  const button = make("button", { type: "button", class: "more inline", "aria-expanded": "false" }, word("show_members"));
  button.addEventListener("click", () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    place.replaceChildren(...(isOpen ? [] : [loaded(() => ask(ofRun("cluster"), { key: cluster.cluster }), memberList)]));
  });
  const kinds = cluster.kinds.map((kind) => word(kind)).join(", ");
  const size = make("span", { class: "aside" }, word("cluster_line", { kind: kinds, size: whole(cluster.size), jaccard: cluster.jaccard.toFixed(2) }));
  return make("li", { class: "hit" }, documentLine(cluster.kept, " ", size, " ", button), place);
}

/** The members of one cluster; each copy can be laid beside the one that stays for it. */
function memberList({ members }) {
  return [make("ul", { class: "hits inner" }, members.map((member) => {
    if (member.stays) return make("li", {}, documentLine(member));
    const place = make("div", {});
    const onclick = () => {
      const both = () => Promise.all([member.copy_of, member.key].map((key) => ask(ofRun("document"), { key })));
      place.replaceChildren(loaded(both, ([kept, removed]) => textsBesideEachOther(kept, removed)));
    };
    return make("li", {}, documentLine(member, ` Jaccard ${member.jaccard.toFixed(2)} `,
      make("button", { type: "button", class: "more inline", onclick }, word("side_by_side"))), place);
  }))];
}

/** Two documents with what differs marked. */
function textsBesideEachOther(kept, removed) {
  const [left, right] = [kept, removed].map((each) => each.text.map(([text]) => text).join("").trimStart());
  const isCut = Math.max(left.length, right.length) > COMPARED_CHARS;
  const [leftRuns, rightRuns] = longDifference(left.slice(0, COMPARED_CHARS), right.slice(0, COMPARED_CHARS));
  const marked = (runs, tag) => runs.map(([text, isShared]) => (isShared ? text : make(tag, {}, text)));
  const side = (title, each, content, name) => make("article", { class: `excerpt ${name}` },
    make("h4", {}, title), make("p", { class: "id" }, each.url || each.id), make("p", { class: "text", dir: "auto", tabindex: 0 }, content));
  const sides = [side(word("survivor"), kept, marked(leftRuns, "ins"), "is-kept"), side(word("the_copy"), removed, marked(rightRuns, "del"), "is-removed")];
  requestAnimationFrame(() => sides.forEach(scrollToDifference));
  return [
    ...(isCut ? [make("p", { class: "aside" }, word("first_chars", { count: whole(COMPARED_CHARS) }))] : []),
    make("div", { class: "pair even" }, sides),
  ];
}

/** Brings the first difference into sight. */
function scrollToDifference(side) {
  const first = side.querySelector("ins, del");
  const text = side.querySelector(".text");
  if (first) text.scrollTop = first.getBoundingClientRect().top - text.getBoundingClientRect().top - 40;
}

/** As `difference`, of texts of any length: what they begin and end with alike is set aside, long rests go by sentences. */
function longDifference(left, right) {
  const [a, b] = [pieces(left), pieces(right)];
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const [before, after] = [a.slice(0, head).join(""), a.slice(a.length - tail).join("")];
  const [leftRest, rightRest] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  const isSmall = leftRest.length * rightRest.length <= MAX_CELLS;
  const middle = isSmall ? difference(leftRest.join(""), rightRest.join("")) : sentenceDifference(leftRest.join(""), rightRest.join(""));
  return middle.map((runs) => merged([[before, true], ...runs, [after, true]].filter(([text]) => text).map((run) => [...run])));
}

/** Sentences that the other text has too are shared, all others are not. */
function sentenceDifference(left, right) {
  const sentences = (text) => text.match(/[^\n。！？.!?]*[\n。！？.!?]+|[^\n。！？.!?]+$/gu) ?? [];
  const sides = [sentences(left), sentences(right)];
  const known = sides.map((side) => new Set(side));
  return sides.map((side, at) => side.map((sentence) => [sentence, known[1 - at].has(sentence)]));
}

function sourcesView() {
  const names = distinct(card.funnel.map((row) => row.source)).filter((source) => source !== OTHERS).sort();
  if (!names.length) return [make("p", { class: "empty" }, "–")];
  const chosen = state.oneSource ??= { source: names[0], signal: "num_chars" };
  const signals = distinct(Object.values(card.every_rule).flat().map((rule) => rule.signal));
  if (!signals.includes(chosen.signal)) [chosen.signal] = signals;
  const set = (name, refill) => (value) => { chosen[name] = value; refill(); };
  return controlled((refill) => [
    choice(word("source"), names.map((name) => [name, shortened(name)]), chosen.source, set("source", refill)),
    choice(word("signal"), signals.map((name) => [name, `${signalWord(name)} · ${name}`]), chosen.signal, set("signal", refill)),
  ], () => [sourceTiles(chosen.source), loadedWhenIndexed(() => ask(ofRun("source"), chosen), (answer) => sourceParts(chosen, answer))]);
}

function sourceTiles(source) {
  const rows = card.funnel.filter((row) => row.source === source);
  const documents = (test) => total(rows.filter(test), (row) => row.documents);
  const read = total(rows, (row) => row.documents);
  const kept = rows.filter(isKept);
  const tiles = [["read", read], ["kept", documents(isKept)], ["removed", documents(isRemoved)], ["failed", documents((row) => row.outcome === "failed")]];
  return make("div", { class: "tiles" },
    ...tiles.map(([name, value]) => tile(`source-${name}`, value, word(name), percent(value, read))),
    tile("source-tokens", total(kept, (row) => row.tokens), word("kept_tokens"), word("of_all_tokens", { share: percent(total(kept, (row) => row.tokens), total(card.funnel.filter(isKept), (row) => row.tokens)) })));
}

function sourceParts({ source, signal }, { reasons, histogram }) {
  const read = (lane) => total(card.funnel.filter((row) => row.source === source && row.lane === lane), (row) => row.documents);
  const most = Math.max(...reasons.map((row) => row.failing), 1);
  const rows = [...reasons].sort((a, b) => b.failing - a.failing).map((row) => [laneWord(row.lane), make("span", { class: "rule" }, make("span", {}, reasonWord(row.reason)), make("code", {}, row.reason)),
    figure(row.failing), figure(row.only), meter(row.failing / most, percent(row.failing, read(row.lane)))]);
  const parts = rows.length ? [table(word("reason"), [word("lane"), word("reason"), `#${word("failing")}`, `#${word("only")}`, word("share_of_lane")], rows)]
    : [make("p", { class: "empty" }, word("none_removed"))];
  const lanes = LANE_ORDER.filter((lane) => histogram[lane]?.length);
  if (!lanes.length) return parts;
  const rules = (lane) => rulesOf(lane).filter((rule) => rule.signal === signal);
  const ends = lanes.flatMap((lane) => [...histogram[lane].map((bin) => bin[1]), ...rules(lane).map((rule) => rule.threshold)]);
  const scale = card.signals[signal].unit === "share" ? shareScale(ends) : countScale(ends);
  const layout = { margin: { l: 8, r: 16, t: 30, b: 8 }, bargap: 0, shapes: [], annotations: [], grid: { rows: lanes.length, columns: 1, pattern: "independent", ygap: 0.42 } };
  const traces = lanes.map((lane, at) => oneSourceBars(lane, { at, bins: histogram[lane], scale }));
  lanes.forEach((lane, at) => {
    addAxes(layout, lane, { axis: at + 1, scale, counts: traces[at].y });
    for (const rule of rules(lane)) addThreshold(layout, rule, { axis: at + 1, scale });
  });
  return [...parts, make("h3", {}, `${signalWord(signal)} · ${source}`), chart(`${signalWord(signal)}: ${source}`, 60 + 165 * lanes.length, traces, layout)];
}

function oneSourceBars(lane, { at, bins, scale }) {
  const edges = bins.map(([left, right]) => [scale.place(left), scale.place(right)]);
  return {
    type: "bar", xaxis: `x${at + 1}`, yaxis: `y${at + 1}`, y: bins.map((bin) => bin[2]),
    x: edges.map(([left, right]) => (left + right) / 2), width: edges.map(([left, right]) => right - left),
    marker: { color: laneColour(lane), line: { width: 0.5, color: colour("card") } },
    customdata: bins.map((bin) => [decimal(bin[0]), decimal(bin[1]), whole(bin[2])]),
    hovertemplate: `%{customdata[0]} – %{customdata[1]}<br>%{customdata[2]} ${word("documents")}<extra>${laneWord(lane)}</extra>`,
  };
}
