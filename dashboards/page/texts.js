"use strict";
/* What was in them: duplicates side by side, samples with the reasons beside. */

const SAMPLES_AT_ONCE = 12;

/** Words, Han characters, runs of whitespace and single marks: what a difference is counted in. */
const pieces = (text) => text.match(/\p{Script=Han}|[\p{L}\p{M}\p{N}_]+|\s+|./gsu) ?? [];

/** Two texts as runs of [piece, is shared], by their longest common subsequence of pieces. */
function difference(leftText, rightText) {
  const [left, right] = [pieces(leftText), pieces(rightText)];
  const width = right.length + 1;
  const lengths = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i * width + j] = left[i] === right[j] ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const [leftRuns, rightRuns] = [[], []];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      leftRuns.push([left[i++], true]);
      rightRuns.push([right[j++], true]);
    } else if (j >= right.length || (i < left.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      leftRuns.push([left[i++], false]);
    } else {
      rightRuns.push([right[j++], false]);
    }
  }
  return [merged(leftRuns), merged(rightRuns)];
}

/** Neighbours of the same kind as one run. */
function merged(runs) {
  const result = [];
  for (const [text, isShared] of runs) {
    const last = result.at(-1);
    if (last && last[1] === isShared) last[0] += text;
    else result.push([text, isShared]);
  }
  return result;
}

function duplicatesView() {
  const { count, sizes, removed_exact, removed_near, removed_url, largest, examples } = card.clusters;
  if (!count) return [make("p", { class: "empty" }, word("no_clusters"))];
  const facts = [["clusters", count], ["exact", removed_exact], ["near", removed_near], ...(removed_url ? [["url", removed_url]] : []), ["largest", largest]];
  const entries = Object.entries(sizes).map(([size, number]) => [Number(size), number]).sort((a, b) => a[0] - b[0]);
  return [
    make("ul", { class: "legend facts" }, facts.map(([name, value]) => make("li", {}, `${word(name)} `, make("b", {}, whole(value))))),
    ...charted(clusterSizes(entries), word("cluster_sizes"), [`#${word("size")}`, `#${word("num_clusters")}`],
      entries.map((entry) => entry.map((each) => figure(each)))),
    ...(examples.length ? clusterBrowser(examples) : []),
  ];
}

/** How many clusters there are of each size: a bar per size, or points on logarithmic axes when there are many sizes. */
function clusterSizes(entries) {
  const [sizes, counts] = [entries.map(([size]) => size), entries.map(([, count]) => count)];
  const hovertemplate = `${word("size")} %{x}: %{y:,} ${word("num_clusters")}<extra></extra>`;
  const titles = { x: { text: word("size"), standoff: 6 }, y: { text: word("num_clusters"), standoff: 10 } };
  const marks = [2, 3, 5, 10].flatMap((first) => [1, 10, 100, 1e3, 1e4, 1e5].map((power) => first * power));
  if (entries.length > 24) {
    const points = { type: "scatter", mode: "markers", x: sizes, y: counts, marker: { color: colour("copies"), size: 8 }, hovertemplate };
    const yaxis = { title: titles.y, type: "log", tickvals: powers(1, Math.max(...counts)) };
    return chart(word("cluster_sizes"), 220, [points], { xaxis: { title: titles.x, type: "log", tickvals: marks }, yaxis });
  }
  const bars = {
    type: "bar", width: 0.6, x: sizes.map(String), y: counts, text: counts.map(whole), textposition: "outside", cliponaxis: false,
    marker: { color: colour("copies") }, hovertemplate,
  };
  const range = [-0.5, Math.max(10, entries.length) - 0.5]; // a few bars stay narrow
  return chart(word("cluster_sizes"), 220, [bars], {
    margin: { l: 8, r: 8, t: 24, b: 8 }, xaxis: { title: titles.x, type: "category", range, showgrid: false },
    yaxis: { title: titles.y, rangemode: "tozero", nticks: 5 },
  });
}

/** A list of clusters to choose from, and the chosen one side by side. */
function clusterBrowser(examples) {
  state.cluster ??= 0;
  const line = (each) => word("cluster_line", { kind: word(each.kind), size: whole(each.size), jaccard: each.jaccard.toFixed(2) });
  const options = examples.map((each, at) => [String(at), `${at + 1}. ${line(each)}`]);
  return controlled(
    (refill) => choice(word("cluster"), options, String(state.cluster), (value) => { state.cluster = Number(value); refill(); }),
    () => sideBySide(examples[state.cluster]));
}

function sideBySide(cluster) {
  const [kept, removed] = difference(cluster.kept_excerpt.trimStart(), cluster.removed_excerpt.trimStart());
  const isSame = cluster.kept_excerpt === cluster.removed_excerpt;
  const marked = (runs, tag) => runs.map(([text, isShared]) => (isShared ? text : make(tag, {}, text)));
  const side = (title, id, content, name) => make("article", { class: `excerpt ${name}` },
    make("h4", {}, title), make("p", { class: "id" }, id), make("p", { class: "text", dir: "auto" }, content));
  return [
    make("p", { class: "aside" }, isSame ? word("same_excerpt") : ""),
    make("div", { class: "pair even" }, side(word("survivor"), cluster.kept_id, marked(kept, "ins"), "is-kept"),
      side(word("copy"), cluster.removed_id, marked(removed, "del"), "is-removed")),
  ];
}

function samplesView() {
  const chosen = state.samples ??= { lane: "all", outcome: "all", reason: "all", source: "all", search: "", limit: SAMPLES_AT_ONCE };
  const set = (name, refill) => (value) => { Object.assign(chosen, { [name]: value, limit: SAMPLES_AT_ONCE }); refill(); };
  const lanes = LANE_ORDER.filter((lane) => card.samples.some((each) => each.lane === lane));
  const reasons = distinct(card.samples.flatMap((each) => shownReasons(each).map((reason) => reason.reason))).sort();
  const sources = distinct(card.samples.map((each) => each.source)).sort();
  const all = ["all", word("all")];
  return controlled((refill) => [
    choice(word("lane"), [all, ...lanes.map((each) => [each, laneWord(each)])], chosen.lane, set("lane", refill)),
    choice(word("outcome"), [all, ["kept", word("kept")], ["removed", word("removed")], ["border", word("at_border")]], chosen.outcome, set("outcome", refill)),
    choice(word("reason"), [all, ...reasons.map((each) => [each, reasonWord(each)])], chosen.reason, set("reason", refill)),
    choice(word("source"), [all, ...sources.map((each) => [each, shortened(each)])], chosen.source, set("source", refill)),
    make("label", { class: "control" }, make("span", {}, word("search")),
      make("input", { type: "search", value: chosen.search, oninput: (event) => set("search", refill)(event.target.value) })),
  ], () => sampleList(chosen));
}

function sampleList(chosen) {
  const byReason = dealt(card.samples.filter((each) => matches(each, chosen)), (each) => `${each.lane} ${each.reasons[0]?.reason}`);
  const found = dealt(byReason, (each) => each.lane);
  if (!found.length) return [make("p", { class: "empty" }, word("no_samples"))];
  const list = make("div", { class: "samples" }, found.slice(0, chosen.limit).map(sampleCard));
  const remark = make("p", { class: "aside", role: "status" });
  const more = make("button", { type: "button", class: "more" }, word("more"));
  const settle = () => {
    remark.textContent = word("shown_of", { shown: whole(Math.min(chosen.limit, found.length)), total: whole(found.length) });
    more.hidden = chosen.limit >= found.length;
  };
  more.addEventListener("click", () => {
    list.append(...found.slice(chosen.limit, chosen.limit + SAMPLES_AT_ONCE).map(sampleCard));
    chosen.limit += SAMPLES_AT_ONCE;
    settle();
  });
  settle();
  return [remark, list, more];
}

/** One sample of every kind, then a second of each, and so on. */
function dealt(samples, kind) {
  const seen = new Map();
  const rank = new Map();
  for (const sample of samples) {
    seen.set(kind(sample), (seen.get(kind(sample)) ?? 0) + 1);
    rank.set(sample, seen.get(kind(sample)));
  }
  return [...samples].sort((a, b) => rank.get(a) - rank.get(b));
}

function matches(sample, { lane, outcome, reason, source, search }) {
  const text = search.toLowerCase();
  return (lane === "all" || sample.lane === lane) && (source === "all" || sample.source === source)
    && (outcome === "all" || (outcome === "border" ? sample.border !== null : sample.kept === (outcome === "kept")))
    && (reason === "all" || shownReasons(sample).some((each) => each.reason === reason))
    && [sample.excerpt, sample.id, sample.url ?? ""].some((each) => each.toLowerCase().includes(text));
}

/** Why a sample was removed; of one that is kept at a border, the bound it stands at. */
const shownReasons = ({ reasons, border }) => (reasons.length || !border ? reasons : [border]);

function sampleCard(sample) {
  const reasons = shownReasons(sample);
  const outcome = [word(sample.kept ? "kept" : "removed"), sample.border ? word("at_border") : null].filter(Boolean).join(" · ");
  const isRule = reasons.some(({ reason }) => /^(min|max)_/.test(reason));
  const isPlaced = reasons.some(({ reason }) => sample.marks[reason]);
  const isMarked = reasons.some(({ reason }) => sample.marks[reason]?.length);
  return make("article", { class: `excerpt ${sample.kept ? "is-kept" : "is-removed"}` },
    make("p", { class: "id" }, make("b", {}, outcome), ` ${laneWord(sample.lane)} · ${sample.source}`),
    make("p", { class: "id" }, address(sample)),
    reasons.length ? make("ul", { class: "chips" }, reasons.map(chip)) : null,
    isRule && !isMarked ? make("p", { class: "remark" }, word(isPlaced ? "counts_none" : "counts_whole")) : null,
    make("p", { class: sample.lane === "code" ? "text source" : "text", dir: "auto" },
      sample.excerpt_start ? make("span", { class: "remark" }, word("from_character", { count: whole(sample.excerpt_start) })) : null,
      markedText(sample)));
}

/** The excerpt with the characters that its reasons count marked; a rule that asks for more of them has its own colour. */
function markedText({ excerpt, marks }) {
  const characters = Array.from(excerpt); // marks count code points
  const reasonsAt = characters.map(() => null);
  for (const [reason, spans] of Object.entries(marks)) {
    for (const [start, end] of spans) for (let at = start; at < end; at++) (reasonsAt[at] ??= []).push(reason);
  }
  const pieces = [];
  for (let at = 0; at < characters.length;) {
    const key = String(reasonsAt[at]);
    let end = at;
    while (end < characters.length && String(reasonsAt[end]) === key) end++;
    const text = characters.slice(at, end).join("");
    const isTooFew = reasonsAt[at]?.every((reason) => reason.startsWith("min_"));
    pieces.push(reasonsAt[at] ? make("mark", { class: isTooFew ? "few" : null, title: reasonsAt[at].map(reasonWord).join(word("comma")) }, text) : text);
    at = end;
  }
  return pieces;
}

/** The document's id, as a link where its URL is one of the web's. */
function address({ id, url }) {
  if (!url) return id;
  if (!/^https?:\/\//i.test(url)) return `${id} · ${url}`;
  return make("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank", title: id }, url);
}

/** A failing rule with what was measured and the bound it broke; an exact copy has nothing to measure. */
function chip({ reason, value = null, threshold = null }) {
  const sign = reason.startsWith("min_") ? "<" : reason.startsWith("max_") ? ">" : "≥";
  const title = `${reason}: ${word("value_against", { value: decimal(value), threshold: decimal(threshold) })}`;
  const isMeasured = value !== null && reason !== "exact_duplicate";
  const bound = threshold === null ? "" : ` ${sign} ${decimal(threshold)}`;
  return make("li", { title }, reasonWord(reason), isMeasured ? make("b", {}, ` ${decimal(value)}${bound}`) : null);
}
