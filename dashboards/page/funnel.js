"use strict";
/* The funnel: what became of everything read, as bands from source over lane to outcome. From stats/funnel.parquet.
   It is drawn as SVG of ours, because it stands in the first view and plotly.js takes a second to start. */

const MAX_FLOW_SOURCES = 10;
const MAX_FLOW_REASONS = 14;
const NODE_GAP = 20; // px between nodes: a line of text fits
const NODE_WIDTH = 14; // px
const LABEL_GAP = 6; // px
const LAYER_PLACES = [0, 36, 100]; // percent of the width; lanes stand left of the middle, because reasons have the longer names

function funnelView() {
  const rows = card.funnel.filter((row) => byUnit(row) > 0);
  return [
    rows.length ? flowPicture(rows) : make("p", { class: "empty" }, word("nothing_read", { unit: unitWord() })),
    make("p", { class: "aside" }, state.unit === "documents" ? "" : word("failed_uncounted")),
    folded(word("as_table"), funnelTable()),
  ];
}

/** Every row of the funnel, in all units. */
function funnelTable() {
  const cells = card.funnel.map((row) => [sourceWord(row.source), row.lane ? laneWord(row.lane) : "–", word(row.outcome),
    row.reason ? reasonWord(row.reason) : "–", figure(row.documents), figure(row.chars), figure(row.tokens)]);
  const headings = [word("source"), word("lane"), word("outcome"), word("reason"), ...UNITS.map((unit) => `#${word(unit)}`)];
  return table(word("funnel"), headings, cells);
}

/** The bands are stretched to the width of the page, nodes and names are not: so nothing has to be drawn again when it changes. */
function flowPicture(rows) {
  const { nodes, links } = flows(rows);
  const longest = Math.max(...[0, 1, 2].map((layer) => nodes.filter((node) => node.layer === layer).length));
  const height = Math.max(360, 2 * NODE_GAP * longest);
  const scale = placeNodes(nodes, height);
  const bands = makeSvg("svg", { width: "100%", height, viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none" },
    placedLinks(nodes, links, scale).map(({ from, to, path, value }) => makeSvg("path", { d: path, style: `fill:var(--${to.tone})` },
      makeSvg("title", {}, `${from.text} → ${to.text}: ${whole(value)} ${unitWord()}`))));
  return makeSvg("svg", { class: "flow", role: "img", "aria-label": word("funnel"), width: "100%", height }, bands, nodes.map(flowNode));
}

/** A node as a bar with its name and amount beside it, towards the middle of the picture. */
function flowNode({ layer, text, tone, value, top, thickness }) {
  const isLast = layer === LAYER_PLACES.length - 1;
  const at = { x: `${LAYER_PLACES[layer]}%` };
  const beside = isLast ? { dx: -NODE_WIDTH - LABEL_GAP, "text-anchor": "end" } : { dx: NODE_WIDTH + LABEL_GAP };
  return makeSvg("g", {},
    makeSvg("rect", { ...at, y: top, width: NODE_WIDTH, height: thickness, transform: isLast && `translate(${-NODE_WIDTH})`, style: `fill:var(--${tone})` }),
    makeSvg("text", { ...at, ...beside, y: top + thickness / 2, "dominant-baseline": "central" }, `${text}  ${compact(value)}`),
    makeSvg("title", {}, `${text}: ${whole(value)} ${unitWord()}`));
}

/** Gives every node `top` and `thickness` in px: largest first, what is kept on top, what failed at the bottom. Returns px per unit. */
function placeNodes(nodes, height) {
  const ranked = [...nodes].sort((a, b) => a.rank - b.rank || b.value - a.value);
  const layers = LAYER_PLACES.map((_, at) => ranked.filter((node) => node.layer === at)).filter((layer) => layer.length);
  const room = height - NODE_GAP; // a name may be taller than its node
  const scale = Math.min(...layers.map((layer) => (room - NODE_GAP * (layer.length - 1)) / total(layer, (node) => node.value)));
  for (const layer of layers) {
    let top = NODE_GAP / 2;
    for (const node of layer) {
      Object.assign(node, { top, thickness: Math.max(1, node.value * scale) });
      top += node.value * scale + NODE_GAP;
    }
  }
  return scale;
}

/** Links with their path: at each node they lie in the order of the nodes at their other ends. */
function placedLinks(nodes, links, scale) {
  const used = nodes.map(() => ({ in: 0, out: 0 }));
  const take = (at, side, thickness) => {
    const place = nodes[at].top + used[at][side];
    used[at][side] += thickness;
    return place;
  };
  const inOrder = [...links].sort((a, b) => nodes[a.from].top - nodes[b.from].top || nodes[a.to].top - nodes[b.to].top);
  const starts = new Map(inOrder.map((link) => [link, take(link.from, "out", link.value * scale)]));
  return inOrder.map((link) => {
    const [from, to, thickness] = [nodes[link.from], nodes[link.to], link.value * scale];
    const [left, right] = [LAYER_PLACES[from.layer], LAYER_PLACES[to.layer]];
    const [start, end, middle] = [starts.get(link), take(link.to, "in", thickness), (left + right) / 2];
    const path = `M${left} ${start}C${middle} ${start} ${middle} ${end} ${right} ${end}v${thickness}C${middle} ${end + thickness} ${middle} ${start + thickness} ${left} ${start + thickness}Z`;
    return { from, to, path, value: link.value };
  });
}

/** Nodes and links of source → lane → outcome. Failures have no lane: their links go straight from source to failed. */
function flows(rows) {
  const largest = (each, name, limit) => sums(each, name, byUnit).map(([key]) => key).filter((key) => key !== OTHERS).slice(0, limit);
  const sources = new Set(largest(rows, (row) => row.source, MAX_FLOW_SOURCES));
  const reasons = new Set(largest(rows.filter(isRemoved), (row) => row.reason, MAX_FLOW_REASONS));
  const numReasons = distinct(rows.filter(isRemoved).map((row) => row.reason)).length;
  const nodes = new Map();
  const links = new Map();
  const touch = (layer, key, text, tone, value, rank = 0) => {
    const id = `${layer} ${key}`;
    if (!nodes.has(id)) nodes.set(id, { at: nodes.size, layer, text, tone, value: 0, rank });
    nodes.get(id).value += value;
    return nodes.get(id).at;
  };
  const join = (from, to, value) => {
    const id = `${from} ${to}`;
    links.set(id, { from, to, value: (links.get(id)?.value ?? 0) + value });
  };
  const touchSource = (source, value) => sources.has(source)
    ? touch(0, source, shortened(sourceWord(source)), "ink-soft", value)
    : touch(0, OTHERS, word("other_sources", { count: whole(card.num_sources - sources.size) }), "ink-soft", value, 1);
  const touchOutcome = ({ outcome, reason }, value) => {
    if (outcome !== "removed") return touch(2, outcome, word(outcome), outcome, value, outcome === "kept" ? -1 : 2);
    if (reasons.has(reason)) return touch(2, `by ${reason}`, reasonWord(reason), reasonTone(reason), value);
    return touch(2, OTHERS, word("other_reasons", { count: numReasons - reasons.size }), "removed", value, 1);
  };
  for (const row of [...rows].sort((a, b) => byUnit(b) - byUnit(a))) {
    const value = byUnit(row);
    const from = touchSource(row.source, value);
    const to = touchOutcome(row, value);
    if (!row.lane) { join(from, to, value); continue; }
    const middle = touch(1, row.lane, laneWord(row.lane), laneTone(row.lane), value);
    join(from, middle, value);
    join(middle, to, value);
  }
  return { nodes: [...nodes.values()], links: [...links.values()] };
}
