"""Recall of planted copies by kind and false merges of documents that are not copies; prints one JSON line.

    python benchmarks/dedup_quality.py [zh=FILE…] [code=FILE…] [pairs=FILE…] [--documents 300] [--set KEY=VALUE]
        [--picture FILE.svg]

FILEs are JSONL(.gz, .zst) with `text`; without any, the Chinese base texts of the example corpus. Every variant of
every sampled text is planted beside it and all are joined at once by `find_pairs`. `false_merges` are pairs among the
hard negatives whose Jaccard of character 5-grams (NFKC, lower case, no white space) is below 0.5; `close_merges` those
from there to below 0.8, which really share most of their text. `pairs` are labelled ones with `jaccard_char5`, laws of
two provinces among them: the curve is the share found per tenth of it, the picture the same per twentieth.
"""

import argparse
import json
import random
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import opencc
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.flows.pictures import Series, grouped_lines
from ctllm.pipelines.dedup.clusters import components
from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.sources.compression import Damage, read_blocks
from ctllm.schemas.config import overridden, parse_override
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.files import write_parquet

BASE = Path(__file__).resolve().parent.parent / "examples" / "corpus" / "base" / "zh"
MIN_CHARS, MAX_CHARS = 300, 20_000  # shorter ones are what header and footer are to them
SAME, DIFFERENT = 0.8, 0.5
LANGS = ("zh", "en", "code")
ROWS = 4096

_HAN = re.compile(r"[\u4e00-\u9fff]{6,}")
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?\n]*")
_WORDS = "仓库 橙子 拖船 雨伞 账簿 灯塔 毛驴 铁匠 蜂蜜 车间 河滩 信封 石板 茶碗 邮局 渔网 城门 瓦片 麦田 风筝"
_HALF_WIDTH = str.maketrans("，。、：；！？（）“”", ',.,:;!?()""')
_MENU = "首页 新闻 体育 财经 娱乐 科技 汽车 房产 教育 健康 旅游 军事 图片 视频 论坛 博客 彩票 天气 地图 招聘"
CHROME = (
    (
        "首页 > 文化频道 > 正文 来源：本站 作者：编辑部 发布时间：2024-03-05 点击：318\n",
        "\n上一篇 下一篇 版权所有 未经许可不得转载",
    ),
    (
        "当前位置：网站地图 - 新闻中心 - 详细内容 字体：大 中 小 打印本页\n",
        "\n关于我们 联系方式 友情链接 京ICP备00000000号 技术支持",
    ),
)
_NOTICES = (
    "/* Copyright 2014 Example Industries. All rights reserved.\n"
    " * Use of this source code is governed by a BSD-style license that can be found in the LICENSE file. */\n\n",
    "/*\n * Copyright (c) 2031 The Second Foundation and its contributors\n *\n"
    " * Licensed under the Apache License, Version 2.0; you may not use this file except in compliance with it.\n"
    " * Unless required by law or agreed to in writing, it comes AS IS, WITHOUT WARRANTIES OF ANY KIND.\n */\n",
)


def changed_words(text: str, *, share: float, generator: random.Random) -> str:
    """`text` with one word of two characters replaced in `share` of its sentences that hold six Han in a row."""

    def change(match: re.Match[str]) -> str:
        sentence = match.group()
        runs = list(_HAN.finditer(sentence))
        if not runs or generator.random() >= share:
            return sentence
        run = generator.choice(runs)
        at = generator.randrange(run.start(), run.end() - 1)
        return sentence[:at] + generator.choice(_WORDS.split()) + sentence[at + 2 :]

    return _SENTENCE.sub(change, text)


def zh_variants(generator: random.Random) -> dict[str, Callable[[str], str]]:
    """Name to what makes such a copy."""
    traditional = opencc.OpenCC("s2tw")
    return {
        "word_in_30_percent": lambda text: changed_words(text, share=0.3, generator=generator),
        "word_in_every_sentence": lambda text: changed_words(text, share=1.0, generator=generator),
        "half_width": lambda text: text.translate(_HALF_WIDTH),
        "line_breaks_lost": lambda text: text.replace("\n", ""),
        "traditional": traditional.convert,
    }


def rechromed(text: str) -> str:
    """A page of one site, header and footer included, as another site would show it."""
    body = text.removeprefix(CHROME[0][0]).removesuffix(CHROME[0][1])
    return CHROME[1][0] + body + CHROME[1][1]


def code_variants() -> dict[str, Callable[[str], str]]:
    """The same for code that `_NOTICES[0]` stands above: another notice, other indentation, other breaks and spaces."""
    return {
        "licence_header": lambda text: _NOTICES[1] + text.removeprefix(_NOTICES[0]),
        "reindented": lambda text: re.sub(r"(?m)^( {2,}|\t+)", lambda found: "\t" + found.group(), text),
        "reformatted": lambda text: re.sub(r"(?<=[,;{])[ \t]*(?=\S)", "\n    ", re.sub(r" ?([=+<>-]+) ?", r"\1", text)),
    }


def hard_negatives(texts: Sequence[str], generator: random.Random) -> Iterator[str]:
    """No copies: one template around other bodies, 0 to 20 characters, pages of menus, long books."""
    han = ["".join(_HAN.findall(text)) for text in texts]
    for body in (each for each in han if len(each) > 400):
        yield f"{CHROME[0][0]}{CHROME[1][0]}{body[200:350]}{CHROME[0][1]}{CHROME[1][1]}"
    for number in range(400):
        source = generator.choice([each for each in han if len(each) > 400])
        start = generator.randrange(len(source) - 40)
        yield source[start : start + number % 21]
    for _ in range(200):
        yield " ".join(
            generator.choice(_MENU.split()) + generator.choice(_MENU.split())
            for _ in range(generator.randrange(20, 60))
        )
    for first in range(0, len(texts) - 40, 40):
        yield "\n".join(texts[first : first + 40])


def char_jaccard(one: str, other: str) -> float:
    """Jaccard of character 5-grams after NFKC, lower case, without white space; 1 for two equal texts."""
    sets = []
    for text in (one, other):
        folded = "".join(unicodedata.normalize("NFKC", text).lower().split())
        sets.append({folded[at : at + 5] for at in range(max(1, len(folded) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


class Joined:
    """Verified pairs of some texts, asked for by their numbers."""

    def __init__(self, texts: Sequence[str], lanes: Sequence[str], config: DedupConfig) -> None:
        signer = Signer(config)
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for start in range(0, len(texts), ROWS):
                part = texts[start : start + ROWS]
                keys = pa.array(range(start, start + len(part)), pa.uint64())
                urls, own = pa.nulls(len(part), pa.string()), pa.array(lanes[start : start + ROWS])
                columns = [keys, urls, own, pa.array(part, pa.large_string())]
                batch = pa.record_batch(columns, names=["key", "url", "lane", "text"])
                paths.append(f"{directory}/bands/part-{start // ROWS:05d}.parquet")
                write_parquet(paths[-1], signer.sign(batch))
                write_parquet(paths[-1].replace("/bands/", "/documents/"), batch)
            documents = [path.replace("/bands/", "/documents/") for path in paths]
            options = RunnerOptions(workers=1)
            self.counts = find_pairs(
                paths, document_files=documents, out=f"{directory}/pairs", config=config, options=options
            )
            self.pairs = pq.read_table(f"{directory}/pairs")
        self.edges = np.column_stack([self.pairs[name].to_numpy().astype(np.int64) for name in ("key_a", "key_b")])
        is_near = self.pairs["kind"].to_numpy(zero_copy_only=False) == "near"
        self._groups = components(self.edges[~is_near], num_nodes=len(texts))
        near = np.sort(self._groups[self.edges[is_near]], axis=1)
        self._near = set(map(tuple, near.tolist()))

    def has(self, one: int, other: int) -> bool:
        """Whether the two are exact copies, or verified near ones."""
        edge = sorted((int(self._groups[one]), int(self._groups[other])))
        return edge[0] == edge[1] or tuple(edge) in self._near


def planted(
    texts: Sequence[str], lane: str, variants: dict[str, Callable[[str], str]], config: DedupConfig
) -> dict[str, float]:
    """Share of the texts whose variant of each kind is found; texts that a variant leaves as they are do not count."""
    together, expected = list(texts), []
    for name, vary in variants.items():
        for number, text in enumerate(texts):
            copy = vary(text)
            if copy != text:
                expected.append((name, number, len(together)))
                together.append(copy)
    joined = Joined(together, [lane] * len(together), config)
    found: dict[str, list[bool]] = {}
    for name, number, copy_number in expected:
        found.setdefault(name, []).append(joined.has(number, copy_number))
    return {name: round(float(np.mean(each)), 3) for name, each in found.items()}


def merges(negatives: Sequence[str], config: DedupConfig) -> dict[str, int]:
    """Pairs found among documents that are no copies, by how much they share."""
    distinct = list(dict.fromkeys(negatives))
    joined = Joined(distinct, ["zh"] * len(distinct), config)
    shared = [char_jaccard(distinct[one], distinct[other]) for one, other in joined.edges.tolist()]
    return {
        "negatives": len(distinct),
        "false_merges": sum(each < DIFFERENT for each in shared),
        "close_merges": sum(DIFFERENT <= each < SAME for each in shared),
    }


@dataclass(frozen=True)
class Labelled:
    """Labelled pairs, and which of them are found."""

    truth: np.ndarray
    """(pairs,), float64: Jaccard of character 5-grams"""
    langs: np.ndarray
    """(pairs,), str: zh, en or code"""
    found: np.ndarray
    """(pairs,), bool"""
    num_compared: int
    """Pairs that all shingles decided."""

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], config: DedupConfig) -> "Labelled":
        """All texts joined at once, each pair looked up."""
        langs = np.array([row["lang"] if row["lang"] in ("zh", "en") else "code" for row in rows])
        texts = [str(row[name]) for row in rows for name in ("text_a", "text_b")]
        joined = Joined(texts, np.repeat(langs, 2).tolist(), config)
        found = np.array([joined.has(2 * number, 2 * number + 1) for number in range(len(rows))])
        truth = np.array([float(row["jaccard_char5"]) for row in rows])
        return cls(truth, langs, found, joined.counts["border"])

    def curve(self, steps: int, lang: str | None = None) -> dict[str, float]:
        """Lower bound of each of the `steps` parts of 0 to 1 that has pairs, and the share of them found."""
        chosen = self.langs == lang if lang else np.ones(len(self.langs), bool)
        parts = np.minimum((self.truth * steps + 1e-9).astype(int), steps - 1)
        return {
            f"{part / steps:g}": round(float(self.found[chosen & (parts == part)].mean()), 3)
            for part in np.unique(parts[chosen])
        }

    def summary(self) -> dict[str, Any]:
        """Recall of the pairs from 0.8 on, by language too, merges below 0.5, and the curve."""
        is_same, is_different = self.truth >= SAME, self.truth < DIFFERENT
        by_lang = {lang: round(float(self.found[(self.langs == lang) & is_same].mean()), 3) for lang in LANGS}
        return {
            "pairs_from_threshold": int(is_same.sum()),
            "recall": round(float(self.found[is_same].mean()), 3),
            "recall_by_lang": by_lang,
            "compared_by_all_shingles": self.num_compared,
            "pairs_below_half": int(is_different.sum()),
            "false_merges": int(self.found[is_different].sum()),
            "curve": self.curve(10),
        }

    def picture(self) -> str:
        """Share found against Jaccard, of all pairs and of the Chinese ones, as SVG."""
        together, chinese = self.curve(20), self.curve(20, "zh")
        bounds = [bound for bound in together if bound in chinese and float(bound) >= DIFFERENT]
        named = (("all languages", together), ("zh", chinese))
        series = [Series(name, [curve[bound] for bound in bounds]) for name, curve in named]
        return grouped_lines(bounds, series, title="Share of the labelled pairs found, by their Jaccard (from … on)")


def rows_of(path: str) -> list[dict[str, Any]]:
    """All rows of a file."""
    data = b"".join(block for block in read_blocks(path) if not isinstance(block, Damage))
    return [json.loads(line) for line in data.splitlines()]


def sample(paths: Sequence[str], *, number: int) -> list[str]:
    """Distinct texts of fitting length, evenly spread over each file."""
    chosen: list[str] = []
    for path in paths:
        texts = dict.fromkeys(row["text"] for row in rows_of(path) if MIN_CHARS <= len(row["text"]) <= MAX_CHARS)
        chosen += [list(texts)[int(at)] for at in np.linspace(0, len(texts) - 1, min(number, len(texts)))]
    return chosen


def main() -> None:
    """Plants, joins, counts and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="KIND=FILE", help="kind is zh, code or pairs")
    parser.add_argument("--documents", type=int, default=300, help="texts sampled of each file")
    parser.add_argument("--picture", type=Path, help="of the labelled pairs found, an SVG file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="changes the recommended config"
    )
    given = parser.parse_args()

    started = time.process_time()
    config = overridden(CurationConfig(), dict(map(parse_override, given.set))).dedup
    files = [each.partition("=")[::2] for each in given.files]
    paths = {kind: [path for each, path in files if each == kind] for kind in ("zh", "code", "pairs")}
    generator = random.Random(1)
    zh = sample(paths["zh"], number=given.documents)
    if not files:
        zh = [path.read_text(encoding="utf-8") for path in sorted(BASE.glob("*.txt"))]
    line: dict[str, Any] = {"benchmark": "dedup_quality", "set": given.set}
    if zh:
        marked = [CHROME[0][0] + text + CHROME[0][1] for text in zh]
        recall = planted(zh, "zh", zh_variants(generator), config)
        recall |= planted(marked, "zh", {"chrome": rechromed}, config)
        line |= {"zh_documents": len(zh), "recall": recall}
        line |= {"hard": merges(list(hard_negatives(zh, generator)), config)}
    if paths["code"]:
        code = [_NOTICES[0] + text for text in sample(paths["code"], number=given.documents)]
        line |= {"code_documents": len(code), "code_recall": planted(code, "code", code_variants(), config)}
    if paths["pairs"]:
        pairs = Labelled.of([row for path in paths["pairs"] for row in rows_of(path)], config)
        line |= {"pairs": pairs.summary()}
        if given.picture:
            given.picture.write_text(pairs.picture(), encoding="utf-8")
    print(json.dumps(line | {"cpu_s": round(time.process_time() - started, 1)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
