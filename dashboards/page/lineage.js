"use strict";
/* What was made from what: a column for every step of the way, and under each product whether the digests agree. */

const MARKS = { same: "✓", other: "✗", unchecked: "?" };

/** `alone` says how products come in where there are none. */
function lineageView(alone = "lineage_alone") {
  const { nodes, links } = card.lineage;
  const columns = lineageColumns(nodes, links);
  const sorts = distinct(links.map((link) => link.state));
  const legend = Object.keys(MARKS).filter((state) => sorts.includes(state)).map((state) =>
    make("li", { class: `link-${state}` }, `${MARKS[state]} `, word(`digest_${state}`)));
  return [
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": word("lineage") },
      make("ol", { class: "lineage" }, columns.map((column) => make("li", {}, make("ul", {}, column.map((node) => make("li", {}, product(node))))))),
    ),
    legend.length ? make("ul", { class: "legend" }, legend) : make("p", { class: "aside" }, word(alone)),
  ];
}

/** The training that wrote a checkpoint; undefined for one that is only known by its digest. */
const trainingOf = ({ id, kind }) => (kind === "checkpoint" ? card.lineage.links.find((link) => link.to === id)?.from : undefined);

/** Products by the longest way to them from the beginning; a training's checkpoints stand in its own place. */
function lineageColumns(nodes, links) {
  const depths = new Map();
  const depth = (id) => {
    const steps = id.includes(" step ") ? 0 : 1;
    if (!depths.has(id)) depths.set(id, Math.max(0, ...links.filter((link) => link.to === id).map((link) => depth(link.from) + steps)));
    return depths.get(id);
  };
  const columns = [];
  for (const node of nodes.filter((each) => !trainingOf(each))) (columns[depth(node.id)] ??= []).push(node);
  return columns.filter(Boolean);
}

/** A product: what it is, its digest, its size, and a line for each thing it was made from. */
function product({ id, kind, name, digest, facts }) {
  const { nodes, links } = card.lineage;
  const named = (other) => nodes.find((node) => node.id === other);
  const lines = (chosen, text) => chosen.map((link) => {
    const title = word(`digest_${link.state}`);
    return make("li", { class: `link-${link.state}`, title }, make("span", { "aria-label": title, role: "img" }, MARKS[link.state]), ` ${text(link)} `,
      link.recorded ? make("code", {}, link.recorded) : null);
  });
  const origins = lines(links.filter((link) => link.to === id), (link) => `← ${productName(named(link.from))}`);
  const checkpoints = lines(links.filter((link) => link.from === id && named(link.to).kind === "checkpoint"), (link) => productName(named(link.to)));
  const counted = Object.entries(facts).filter(([, value]) => typeof value === "number").map(([fact, value]) => `${word(`lineage_${fact}`)} ${whole(value)}`);
  return make("article", { class: digest ? "product" : "product missing" },
    make("h4", {}, productName({ kind, name, facts })), digest ? make("code", {}, digest) : make("p", {}, word("not_there")),
    counted.length ? make("p", { class: "remark" }, counted.join(word("comma"))) : null,
    make("ul", {}, origins), checkpoints.length ? make("ul", { class: "below" }, checkpoints) : null);
}

const productName = ({ kind, name, facts }) => [facts.stage ? trainingStageWord(facts.stage) : word(`lineage_${kind}`), name].filter(Boolean).join(" · ");
