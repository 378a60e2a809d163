"use strict";
/* How charts look: one set of colours for light, dark and paper, one way to draw. */

const CHART_MARGIN = 8;
const LANE_ORDER = ["zh", "en", "code", "other"];
const drawings = [];

/** Whether the page is being printed (page.js). */
const isPaper = () => document.documentElement.classList.contains("paper");

/** A colour of page.css. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The name of a lane's colour. */
const laneTone = (lane) => (LANE_ORDER.includes(lane) ? `lane-${lane}` : "failed");

const laneColour = (lane) => colour(laneTone(lane));

/** The name of the colour of a reason to remove: a kind of copy, another language, or a rule. */
function reasonTone(reason) {
  if (reason.endsWith("_duplicate")) return "copies";
  return reason === "other_language" ? "lane-other" : "removed";
}

/** The same colour, seen through. */
const faint = (hex, alpha) => `${hex}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;

/** A name as charts show it: short, its end kept, and safe from their own markup. */
const chartName = (name) => shortened(name).replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Settings every chart shares. */
function layoutOf(extra) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true };
  const axes = Object.fromEntries(
    Object.entries(extra).filter(([name]) => /^[xy]axis\d*$/.test(name)).map(([name, each]) => [name, { ...axis, ...each }]));
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: CHART_MARGIN, r: CHART_MARGIN, t: CHART_MARGIN, b: CHART_MARGIN },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
    separators: ".,", showlegend: false, ...extra, ...axes,
  };
}

/** A place for a chart; it is drawn by drawCharts once it stands in the page, because its width is known only then. */
function chart(label, height, traces, layout) {
  const holder = make("div", { class: "chart", role: "img", "aria-label": label, style: `height:${height}px` });
  drawings.push({ holder, traces, layout: { ...layout, height } });
  return holder;
}

/** A chart and, folded below it, what it shows as a table: for those who do not see it, and for exact figures. */
const charted = (drawn, caption, headings, rows) => [drawn, folded(word("as_table"), table(caption, headings, rows))];

/** Draws every chart that was made since the last call; a live page's first ones wait for plotly.js (live.js). */
function drawCharts() {
  if (typeof Plotly === "undefined") return;
  for (const { holder, traces, layout } of drawings.splice(0)) {
    if (!holder.isConnected) continue;
    Plotly.newPlot(holder, traces, layoutOf(layout), { displayModeBar: false, responsive: true });
    for (const drawing of holder.querySelectorAll(".main-svg")) drawing.setAttribute("aria-hidden", "true"); // the holder has the name
  }
  document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
}

/** Frees the charts in an element that is about to be emptied. */
function dropCharts(element) {
  for (const holder of element.querySelectorAll(".js-plotly-plot")) Plotly.purge(holder);
}
