"use strict";
/* The sample of signals: read from the card, judged by any thresholds, added up to the whole run with an interval. */

/** `fate` of a document, as in dashboards/signal_sample.py. */
const KEPT = 0;
const COPY = 2;
const OUTCOME = 3;
const HAS_COPIES = 4;
const NOTHING_LEFT = 8;

const DEVIATIONS = 1.96; // 95 % of a normal distribution

/** Lane → columns of its sampled documents, typed arrays of one length. Async, because browsers inflate in a stream. */
async function unpackedSample({ lanes, packed }) {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const flat = new Uint8Array(await new Response(stream).arrayBuffer());
  let start = 0;
  const column = (name, documents) => {
    const Kind = name === "fate" ? Uint8Array : name === "chars" || name === "tokens" ? Uint32Array : Float32Array;
    const width = Kind.BYTES_PER_ELEMENT;
    const whole = new Uint8Array(documents * width);
    for (let at = 0; at < documents; at++) for (let byte = 0; byte < width; byte++) whole[at * width + byte] = flat[start + byte * documents + at];
    start += documents * width;
    return new Kind(whole.buffer);
  };
  return Object.fromEntries(lanes.map(({ lane, documents, columns }) =>
    [lane, Object.fromEntries(columns.map((name) => [name, column(name, documents)]))]));
}

/** How many rules each document fails, and which one it failed last; a threshold of null is off. */
function failures(sample, rules) {
  const counts = new Uint8Array(sample.fate.length);
  const last = new Int16Array(sample.fate.length).fill(-1);
  const failing = rules.map(({ signal, isMinimum, threshold }, number) => {
    if (threshold === null) return 0;
    const values = sample[signal];
    const bound = Math.fround(threshold); // as rulesets.py: both are rounded alike
    let total = 0;
    for (let at = 0; at < values.length; at++) {
      if (isMinimum ? values[at] < bound : values[at] > bound) {
        total++;
        counts[at]++;
        last[at] = number;
      }
    }
    return total;
  });
  const only = rules.map(() => 0);
  for (let at = 0; at < counts.length; at++) if (counts[at] === 1 && !(sample.fate[at] & NOTHING_LEFT)) only[last[at]]++;
  return { counts, failing, only };
}

/**
 * What a lane keeps under `rules`, from what it keeps now: {documents: {now, then, error}, chars: …, tokens: …, unsure}.
 *
 * The sample says only what changes, so nothing changed is known exactly. `error` is half the 95 % interval. Copies stay
 * removed; `unsure` are sampled documents whose fate changes and that have copies, of which only a new decision knows.
 */
function estimate(sample, rules, { population, now }) {
  const { counts } = failures(sample, rules);
  const size = sample.fate.length;
  const sums = Object.fromEntries(UNITS.map((unit) => [unit, { change: 0, squares: 0, all: 0 }]));
  let unsure = 0;
  for (let at = 0; at < size; at++) {
    const fate = sample.fate[at];
    const isKept = (fate & OUTCOME) === KEPT;
    const willBe = counts[at] === 0 && !(fate & NOTHING_LEFT) && (fate & OUTCOME) !== COPY;
    const change = willBe - isKept;
    if (change && fate & HAS_COPIES) unsure++;
    for (const unit of UNITS) {
      const amount = unit === "documents" ? 1 : sample[unit][at];
      sums[unit].all += amount;
      sums[unit].change += change * amount;
      sums[unit].squares += change * change * amount * amount;
    }
  }
  const scaled = Object.fromEntries(UNITS.map((unit) =>
    [unit, { now: now[unit], ...extrapolated(sums[unit], { size, population, now: now[unit] }) }]));
  return { ...scaled, unsure };
}

/**
 * The change in the whole lane. Two documents of mean size are added to the squares, one for each direction: where no
 * sampled document changes, up to three in `size` still may (the rule of three).
 */
function extrapolated({ change, squares, all }, { size, population, now }) {
  if (!size) return { then: now, error: 0 };
  const mean = change / size;
  const typical = all / size;
  const variance = Math.max(0, (squares + 2 * typical * typical) / size - mean * mean);
  const error = DEVIATIONS * population * Math.sqrt((variance / size) * Math.max(0, 1 - size / population));
  return { then: Math.max(0, now + population * mean), error };
}

/** How many documents of a lane one threshold refuses, from the histogram of its signal: [at least, at most]. */
function refusedBetween(bins, { isMinimum, threshold }) {
  const slack = 1e-6 * threshold; // places of a slider are edges in six digits
  let [least, most] = [0, 0];
  for (const [left, right, documents] of bins) {
    const isWhole = isMinimum ? right <= threshold + slack : left > threshold + slack;
    const isTouched = isMinimum ? left < threshold - slack : right > threshold + slack;
    if (isWhole) least += documents;
    if (isTouched || isWhole) most += documents;
  }
  return [least, most];
}
