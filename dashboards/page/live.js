"use strict";
/* The live dashboard: which address shows what, how the server is asked, the list of all runs. */

const POLL_MS = 4000;
const BUILD_POLL_MS = 400;
const FIRST_VIEWS = 2; // they fill a window

/** What the address names: the kind of page and the run. */
const live = { kind: "start", name: "", lists: null, sort: {}, descent: null };

/** Fulfilled when charts can be drawn. plotly.js takes longer than all the rest, so it is run after what fills a window is painted. */
let loadPlotly = null;
const plotlyLoaded = new Promise((resolve) => {
  loadPlotly = () => document.head.append(make("script", { src: document.querySelector("meta[name=plotly]").content, onload: resolve }));
});

/** After the next frame. */
const painted = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });

/** An answer of the server. Throws an Error with its sentence and `status`. */
async function ask(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== "" && each !== null && each !== undefined && each !== false) query.append(name, each);
  }
  const response = await fetch(`/api/${path}${query.size ? `?${query}` : ""}`, { signal });
  const value = await response.json().catch(() => ({ error: response.statusText }));
  if (response.ok) return value;
  const error = new Error(value.error ?? response.statusText);
  error.status = response.status;
  throw error;
}

const escapedName = (name) => name.split("/").map(encodeURIComponent).join("/");
const ofRun = (what) => `runs/${escapedName(live.name)}/${what}`;
const ofTraining = (what) => `trainings/${escapedName(live.name)}/${what}`;

/** A sentence in place of what could not be shown. */
function problem(error, again = null) {
  return make("div", { class: "empty problem", role: "alert" }, make("p", {}, error.message),
    again ? make("button", { type: "button", class: "more", onclick: again }, word("try_again")) : null);
}

/** A place that `load` fills: with what `fill` makes of its answer, or with what went wrong. */
function loaded(load, fill) {
  const body = make("div", {});
  const run = async () => {
    body.setAttribute("aria-busy", "true");
    dropCharts(body);
    body.replaceChildren(make("p", { class: "empty" }, word("loading")));
    try {
      const value = await load(body);
      body.replaceChildren(...fill(value));
      drawCharts();
    } catch (error) {
      body.replaceChildren(problem(error, run));
    }
    body.removeAttribute("aria-busy");
  };
  run();
  return body;
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Waits until the run's tables stand together; says meanwhile how far they are. */
async function indexed(body) {
  for (;;) {
    const { state: found, done, total: all, reason } = await ask(ofRun("index"));
    if (found === "ready") return;
    if (found === "failed") throw new Error(reason);
    const text = all ? word("building", { done: whole(done), total: whole(all) }) : word("building_start");
    body.replaceChildren(make("p", { class: "empty", role: "status" }, text));
    await pause(BUILD_POLL_MS);
  }
}

/** As `loaded`, of what needs the run's tables. */
const loadedWhenIndexed = (load, fill) => loaded(async (body) => { await indexed(body); return load(); }, fill);

async function startLive() {
  plotlyLoaded.then(drawCharts);
  document.querySelector("footer").dataset.word = "live_footer";
  try {
    await openAddress();
  } catch (error) {
    if (!error.status) throw error;
    if (error.status === 401) askForToken();
    else show(null, [["live_title", () => [problem(error, () => location.reload()), homeLink()]]]);
  }
  await painted();
  loadPlotly();
  await plotlyLoaded;
  document.body.dataset.ready = "1";
}

async function openAddress() {
  const [, kind, name] = /^\/(run|training|compare)?\/?(.*)$/.exec(decodeURIComponent(location.pathname));
  Object.assign(live, { kind: kind ?? "start", name });
  setTitle(kind === "run" ? "" : kind ?? "live");
  document.getElementById("units").hidden = !["run", "compare"].includes(kind);
  if (kind) document.querySelector(".title > div").prepend(homeLink());
  if (kind === "run") await openRun();
  else if (kind === "training") await openTraining();
  else if (kind === "compare") await openComparison();
  else await openStart();
}

const homeLink = () => make("p", {}, make("a", { href: "/", "data-word": "all_runs" }, word("all_runs")));

function setTitle(prefix) {
  if (!prefix) return;
  document.querySelector("h1").dataset.word = `${prefix}_title`;
  if (Object.hasOwn(WORDS, `${prefix}_subtitle`)) document.querySelector(".subtitle").dataset.word = `${prefix}_subtitle`;
}

async function openRun() {
  card = readCard(await ask(ofRun("card")));
  const shown = runViews();
  show(card, shown, FIRST_VIEWS);
  for (const [id] of shown.slice(FIRST_VIEWS)) {
    await pause(0); // the browser shows what is drawn before it goes on
    if (!document.getElementById(id).dataset.drawn) redrawView(id);
  }
}

/** The views of the card, with those that only a server can fill; these come in place of their twins in the report. */
function runViews() {
  const after = {
    histograms: [["what_if", thresholdsView]],
    duplicates: [["groups", groupsView]],
    samples: [["find", findView], ["sources", sourcesView]],
    failures: [["lineage", descentView]],
  };
  return cardViews().filter(([id]) => id !== "whatif").flatMap((view) => [view, ...(after[view[0]] ?? [])]);
}

/** What was made from the run by trainings below the same directories, with their curves; asked for once. */
function descentView() {
  return [loaded(async () => Object.assign(card, await (live.descent ??= ask(ofRun("lineage")))), () => [
    ...lineageView("lineage_none_below"), ...(card.trainings.length ? [make("h3", {}, word("training")), ...trainingView()] : []),
  ])];
}

async function openStart() {
  live.lists = await ask("runs");
  show(null, [["runs", runsView], ["trainings", trainingsView]]);
  watchLists();
}

/** Looks again and again whether runs came, went or went on. */
async function watchLists() {
  for (;;) {
    await pause(POLL_MS);
    const lists = await ask("runs").catch(() => live.lists);
    for (const [kind, id] of [["curation", "runs"], ["training", "trainings"]]) {
      if (JSON.stringify(lists[kind]) === JSON.stringify(live.lists[kind])) continue;
      live.lists[kind] = lists[kind];
      keepingFocus(() => redrawView(id));
    }
  }
}

/** Does what builds elements anew; the one that had the focus has it again. */
function keepingFocus(change) {
  const name = document.activeElement?.dataset?.focus;
  change();
  if (name) document.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
}

const dateText = (seconds) => new Date(1000 * seconds).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });

function runsView() {
  const rows = live.lists.curation;
  if (!rows.length) return [make("p", { class: "empty" }, word("no_runs"))];
  const chosen = state.chosen ??= [];
  const button = make("button", { type: "button", class: "more", onclick: () => {
    location.href = `/compare?${new URLSearchParams({ a: chosen[0], b: chosen[1] })}`;
  } }, word("compare_two"));
  const settle = () => { button.disabled = chosen.length !== 2; };
  const pick = (name) => (event) => {
    if (event.target.checked) chosen.push(name);
    else chosen.splice(chosen.indexOf(name), 1);
    settle();
  };
  settle();
  const columns = [
    ["", null, (row) => (row.trouble ? "" : make("input", { type: "checkbox", "data-focus": `tick ${row.name}`, "aria-label": word("choose", { name: row.name }), checked: chosen.includes(row.name), onchange: pick(row.name) }))],
    ["name", (row) => row.name, (row) => nameCell("run", row)],
    ["date", (row) => row.date, (row) => make("span", { class: "nowrap" }, dateText(row.date))],
    ["#kept", (row) => row.accounts?.kept, (row) => figure(row.accounts.kept, whole(row.accounts.kept))],
    ["#read", (row) => row.accounts?.read, (row) => figure(row.accounts.read, whole(row.accounts.read))],
    ["share", (row) => row.accounts && row.accounts.kept / row.accounts.read, (row) => meter(row.accounts.kept / row.accounts.read, percent(row.accounts.kept, row.accounts.read))],
    ["#kept_tokens", (row) => row.tokens, (row) => figure(row.tokens, compact(row.tokens))],
    ["lanes", null, (row) => make("ul", { class: "legend" }, LANE_ORDER.filter((lane) => row.lanes[lane]).map((lane) =>
      make("li", {}, dot(`lane-${lane}`), laneWord(lane), make("b", {}, ` ${whole(row.lanes[lane][0])}`))))],
    ["guard", (row) => row.guard?.max_removed_share, (row) => word("guard_share", { share: percent(row.guard.max_removed_share ?? 1, 1) })],
  ];
  return [sortedTable("runs", columns, rows), button];
}

function trainingsView() {
  const rows = live.lists.training;
  if (!rows.length) return [make("p", { class: "empty" }, word("no_trainings"))];
  const columns = [
    ["name", (row) => row.name, (row) => nameCell("training", row)],
    ["state", (row) => row.state, (row) => stateMark(row.state)],
    ["date", (row) => row.date, (row) => make("span", { class: "nowrap" }, dateText(row.date))],
    ["stage", (row) => row.stage, (row) => row.stage],
    ["#step", (row) => row.step, (row) => figure(row.step, row.steps ? `${whole(row.step)} / ${whole(row.steps)}` : whole(row.step))],
    ["#loss", (row) => row.loss, (row) => decimal(row.loss)],
    ["#tokens_per_s", (row) => row.tokens_per_s, (row) => (row.tokens_per_s === null ? "–" : compact(row.tokens_per_s))],
    ["#parameters", (row) => row.num_parameters, (row) => (row.num_parameters ? compact(row.num_parameters) : "–")],
    ["device", (row) => row.machine?.device, (row) => row.machine.device ?? "–"],
  ];
  return [sortedTable("trainings", columns, rows)];
}

const stateMark = (name) => make("span", { class: `state state-${name}` }, word(name));

function nameCell(kind, row) {
  if (row.trouble) return make("span", {}, make("b", {}, row.name), make("span", { class: "trouble" }, word("trouble", { reason: row.trouble })));
  return make("a", { href: `/${kind}/${escapedName(row.name)}`, "data-focus": `${kind} ${row.name}` }, row.name);
}

/** A table whose headings sort it. Columns are [word, value to sort by or null, cell]; rows in trouble come last. */
function sortedTable(id, columns, rows) {
  const sort = live.sort[id] ??= { column: "date", isUp: false };
  const by = columns.find(([name]) => name.replace("#", "") === sort.column)[1];
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...rows].sort((a, b) => Boolean(a.trouble) - Boolean(b.trouble)
    || (sort.isUp ? 1 : -1) * order(by(a) ?? "", by(b) ?? "") || order(a.name, b.name));
  const cells = sorted.map((row) => columns.map(([name, , cell]) => (row.trouble && !["name", "date"].includes(name) ? "" : cell(row))));
  const built = table(word(id), columns.map(([name]) => (name.startsWith("#") ? `#${word(name.slice(1))}` : name && word(name))), cells);
  built.querySelectorAll("th").forEach((head, at) => {
    const [name, value] = columns[at];
    if (!value) return;
    const bare = name.replace("#", "");
    const isChosen = bare === sort.column;
    head.setAttribute("aria-sort", isChosen ? (sort.isUp ? "ascending" : "descending") : "none");
    const onclick = () => {
      Object.assign(sort, { column: bare, isUp: isChosen ? !sort.isUp : bare === "name" });
      keepingFocus(() => redrawView(id));
    };
    head.replaceChildren(make("button", { type: "button", class: "sort", "data-focus": `sort ${id} ${bare}`, title: word("sort_by", { name: word(bare) }), onclick },
      word(bare), make("span", { "aria-hidden": "true" }, isChosen ? (sort.isUp ? " ▲" : " ▼") : "")));
  });
  return built;
}

/** Asks for the token once; the server keeps it in a cookie that no script can read. */
function askForToken() {
  const input = make("input", { type: "password", autocomplete: "current-password", required: true, "aria-label": word("token") });
  const remark = make("p", { role: "alert", class: "aside" });
  const submit = async (event) => {
    event.preventDefault();
    const response = await fetch("/api/login", { method: "POST", headers: { Authorization: `Bearer ${input.value}` } });
    if (response.ok) location.reload();
    else remark.textContent = response.status === 401 ? word("wrong_token") : response.statusText;
  };
  show(null, [["token_wanted", () => [make("form", { class: "controls", onsubmit: submit },
    make("input", { type: "text", autocomplete: "username", value: "ctllm", hidden: true }), input, // for password managers
   
    make("button", { type: "submit", class: "more" }, word("enter")), remark)]]]);
  input.focus();
}
