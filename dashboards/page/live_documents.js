"use strict";
/* Every document of a run: found by its words, its name or its fate, and shown completely. */

const MAX_SPANS = 200;

function findView() {
  const chosen = state.find ??= { text: "", regex: false, case: false, named: "", lane: "", outcome: "", reason: "", source: "" };
  const results = make("div", {});
  const all = ["", word("all")];
  const set = (name) => (value) => { chosen[name] = value; };
  const input = (name, label) => make("label", { class: "control" }, make("span", {}, word(label)),
    make("input", { type: "search", name, value: chosen[name], maxlength: 500, oninput: (event) => set(name)(event.target.value) }));
  const reasons = distinct(card.rule_counts.map((row) => row.reason)).sort();
  const sources = distinct(card.funnel.map((row) => row.source)).filter((source) => source !== OTHERS).sort();
  const submit = (event) => { event.preventDefault(); state.hasSearched = true; results.replaceChildren(foundDocuments({ ...chosen })); };
  const form = make("form", { class: "controls", role: "search", onsubmit: submit },
    input("text", "in_text"), tick(word("is_regex"), chosen.regex, set("regex")), tick(word("with_case"), chosen.case, set("case")),
    input("named", "by_name"),
    choice(word("lane"), [all, ...LANE_ORDER.map((lane) => [lane, laneWord(lane)])], chosen.lane, set("lane")),
    choice(word("outcome"), [all, ["kept", word("kept")], ["removed", word("removed")]], chosen.outcome, set("outcome")),
    choice(word("reason"), [all, ...reasons.map((each) => [each, reasonWord(each)])], chosen.reason, set("reason")),
    choice(word("source"), [all, ...sources.map((each) => [each, shortened(each)])], chosen.source, set("source")),
    make("button", { type: "submit", class: "more" }, word("do_find")));
  if (state.hasSearched) results.replaceChildren(foundDocuments({ ...chosen }));
  return [form, results];
}

/** The documents of one question: the first of them, and more on demand. */
function foundDocuments(chosen) {
  const { text, regex, case: isCase, ...filter } = chosen;
  return loadedWhenIndexed(
    () => (text ? ask(ofRun("search"), chosen) : ask(ofRun("documents"), filter)),
    (answer) => (text ? hitList(chosen, answer) : documentList(filter, answer)));
}

/** Hits in texts, each with what stands around; a search that ran out of time goes on where it stopped. */
function hitList(chosen, first) {
  const list = make("ul", { class: "hits" });
  const remark = make("p", { class: "aside", role: "status" });
  const counts = { looked: 0, hits: 0 };
  const more = make("button", { type: "button", class: "more" }, word("go_on"));
  const add = (answer) => {
    list.append(...answer.hits.map(hitLine));
    counts.looked += answer.looked_at;
    counts.hits += answer.hits.length;
    const values = { count: whole(counts.looked), hits: whole(counts.hits) };
    remark.textContent = word(answer.after ? "looked_at" : "looked_all", values);
    more.hidden = !answer.after;
    more.onclick = () => goOn(more, ask(ofRun("search"), { ...chosen, after: answer.after }), add);
  };
  add(first);
  return [remark, list, more];
}

function documentList(filter, first) {
  if (!first.documents.length) return [make("p", { class: "empty" }, word("nothing_found"))];
  const remark = make("p", { class: "aside", role: "status" }, word("found_documents", { total: whole(first.total) }));
  const body = make("div", {});
  const more = make("button", { type: "button", class: "more" }, word("more"));
  const add = (answer) => {
    body.append(...answer.documents.map((each) => make("div", { class: "hit" }, documentLine(each))));
    more.hidden = !answer.after;
    more.onclick = () => goOn(more, ask(ofRun("documents"), { ...filter, after: answer.after }), add);
  };
  add(first);
  return [remark, body, more];
}

/** Adds the next answer; the button says nothing twice, and a failure stands behind it. */
async function goOn(button, answer, add) {
  button.disabled = true;
  try {
    add(await answer);
  } catch (error) {
    button.after(problem(error));
  }
  button.disabled = false;
}

/** A hit: its document, and what stands around it on one line. */
function hitLine(hit) {
  const [before, found, after] = hit.snippet.map((text) => text.replace(/\s+/gu, " "));
  return make("li", { class: "hit" }, documentLine(hit), make("p", { class: "snippet", dir: "auto" },
    `…${before.trimStart()}`, make("mark", {}, found), `${after.trimEnd()}…`));
}

/** Who a document is and what became of it, in a line; its id opens it. */
function documentLine(found, ...further) {
  return make("p", { class: `line ${found.kept ? "is-kept" : "is-removed"}` },
    make("b", {}, word(found.kept ? "kept" : "removed")), " ",
    make("button", { type: "button", class: "link id", title: word("open_document", { id: found.id }), onclick: () => openDocument(found.key) }, found.url || found.id), " ",
    make("span", { class: "aside" }, `${laneWord(found.lane)} · ${found.source} · ${whole(found.chars)} ${word("chars")}`), " ",
    found.reasons.length ? make("span", { class: "aside" }, found.reasons.map(reasonWord).join(" · ")) : null, ...further);
}

/** Shows one document above the page. */
function openDocument(key) {
  const close = make("button", { type: "button", class: "close", "aria-label": word("close"), onclick: () => dialog.close() }, "✕");
  const dialog = make("dialog", { class: "document", "aria-label": word("document") }, close,
    loadedWhenIndexed(() => ask(ofRun("document"), { key }), documentParts));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function documentParts(found) {
  return [
    make("h2", {}, found.title || found.id),
    make("p", { class: `id ${found.kept ? "is-kept" : "is-removed"}` }, make("b", {}, word(found.kept ? "kept" : "removed")), " ", address(found)),
    found.verdict.length ? make("ul", { class: "chips" }, found.verdict.map(chip)) : null,
    ...found.copies.map((copy) => copyLine(found, copy)),
    documentText(found),
    ...spanTable(found.spans),
    folded(`${word("all_rules")} · ${laneWord(found.lane)}`, ruleTable(found.rules)),
    folded(word("facts"), factTable(found)),
    folded(word("all_signals"), table(word("all_signals"), [word("signal"), `#${word("value")}`],
      Object.entries(found.signals).map(([name, value]) => [make("span", { class: "rule" }, make("span", {}, signalWord(name)), make("code", {}, name)), decimal(value)]))),
  ].filter((part) => part !== null);
}

function documentText(found) {
  const shown = found.text.map(([text, kinds]) => (kinds.length ? make("mark", { class: markClass(kinds), title: kinds.map(editWord).join(", ") }, text) : text));
  const length = total(found.text, ([text]) => [...text].length);
  return make("div", {}, length < found.text_chars ? make("p", { class: "aside" }, word("text_shown", { shown: whole(length), total: whole(found.text_chars) })) : null,
    make("p", { class: found.lane === "code" ? "text source whole" : "text whole", dir: "auto", tabindex: 0 }, shown));
}

const markClass = (kinds) => (kinds.some((kind) => kind.startsWith("benchmark:")) ? "is-benchmark" : kinds.some((kind) => kind.startsWith("pii:")) ? "is-pii" : "is-cut");

function spanTable(spans) {
  if (!spans.length) return [];
  const rows = spans.slice(0, MAX_SPANS).map((each) => [editWord(each.kind), figure(each.start), figure(each.end - each.start),
    each.replacement === null ? "–" : each.replacement || "∅", each.item ? `${each.item} · ${percent(each.overlap, 1)}` : ""]);
  return [folded(`${word("marks")} · ${whole(spans.length)}`, table(word("marks"),
    [word("kind"), `#${word("beginning")}`, `#${word("length")}`, word("replaced"), word("item")], rows))];
}

function ruleTable(rules) {
  const sign = (rule) => (rule.rule.startsWith("min_") ? "≥" : "≤");
  const rows = rules.map((rule) => [rule.failed ? make("b", { class: "failed" }, "✗") : "", make("span", { class: "rule" }, make("span", {}, reasonWord(rule.rule)), make("code", {}, rule.rule)),
    decimal(rule.value ?? null), rule.threshold === null ? word("is_off") : `${sign(rule)} ${decimal(rule.threshold)}`]);
  return table(word("all_rules"), ["", word("rule"), `#${word("value")}`, `#${word("threshold")}`], rows);
}

function factTable(found) {
  const facts = [["source", found.source], ["key", found.key], ["document_title", found.title], ["date", found.date], ["license", found.license],
    ["lang", `${found.lang} (${decimal(found.lang_score)})`], ["script", found.script], ["charset", found.charset], ["repair", found.repair]];
  return table(word("facts"), ["", ""], facts.filter(([, value]) => value).map(([name, value]) => [word(name), value]));
}

/** A copy of a document, or what stays in its place, and a button that lays both side by side. */
function copyLine(found, copy) {
  const place = make("div", {});
  const role = word(copy.stays ? "stays_instead" : "its_copy");
  const compare = make("button", { type: "button", class: "more inline", onclick: () => {
    place.replaceChildren(loaded(() => ask(ofRun("document"), { key: copy.key }), (other) => (copy.stays ? textsBesideEachOther(other, found) : textsBesideEachOther(found, other))));
  } }, word("side_by_side"));
  const line = word("cluster_line", { kind: word(copy.kind), size: whole(copy.size), jaccard: copy.jaccard.toFixed(2) });
  return make("div", { class: "copy" }, make("p", {}, `${role}: `, make("span", { class: "id" }, copy.url || copy.id), ` (${line}) `, compare), place);
}
