"use strict";
/* How it was made: stages, inputs, config. */

const MAX_INPUTS = 100;

function stagesView() {
  const longest = Math.max(...card.stages.map((stage) => stage.seconds), 0);
  const count = ([name, number]) => make("li", {}, make("code", {}, name), " ", make("b", {}, whole(number)));
  const stages = card.stages.map(({ stage, seconds, counts }) => [stageWord(stage), figure(seconds, decimal(seconds)),
    meter(seconds / longest), make("ul", { class: "legend" }, Object.entries(counts).map(count))]);
  const inputs = card.inputs.slice(0, MAX_INPUTS).map(([source, format, files, size]) =>
    [source, format, figure(files), figure(size, bytesText(size))]);
  return [
    table(word("stages"), [word("stage"), `#${word("seconds")}`, "", word("counts")], stages),
    folded(word("inputs"), table(word("inputs"), [word("source"), word("format"), `#${word("files")}`, `#${word("bytes")}`], inputs)),
    folded(word("config"), make("pre", { tabindex: 0 }, JSON.stringify(card.run.config, null, 2))),
  ];
}

function bytesText(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(size, 1)) / 10));
  return `${decimal(size / 1024 ** power)} ${units[power]}`;
}
