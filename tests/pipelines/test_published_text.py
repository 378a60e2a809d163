"""Published text keeps its Chinese: from every container, what readers see is what the source wrote."""

import gzip
import html
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.files import list_files, read_parquet

PARAGRAPHS = (
    "　　他说：“安装很简单——先运行 `pip install ctllm==1.2.3`，再打开 main.py；”然后又补了一句：‘别忘了改配置……’",
    "《红楼梦》第１２回、「直角引号」与『双层』，以及【提示】〔注〕（见第３．５％页）·间隔号、全角ＡＢＣ＠＃％，都应原样保留！",
    "版本从 v2.10.0 升到 3.0.0-rc1，地址是 /usr/local/lib/python3.11，命令 `git rebase -i HEAD~3 && make test` 不改。",
    "公式 E=mc²、x₁²+x₂²≤r²、∑ᵢ aᵢ·bᵢ、½、㎏、①②③、Ⅳ，以及 C++、C#、.NET、Node.js 的名字，一个字符也不能少。",
    "臺灣的「繁體字」與簡體字並存，𠮷野家的𠮷在扩展区，👩‍🔬 和 👨‍👩‍👧 由零宽连字组成，ﬁ 是连字，ｶﾀｶﾅ 是半角。",
    "时间写作 2024年01月05日 08:30，比分 3:2，电话总机 010-0000，网址 https://example.org/a_b?c=1&d=2#e 与邮编。",
)
KINDS = ("jsonl", "parquet", "txt", "txt.gz", "md", "wet", "gb18030.txt", "html")


def text_of(kind: str) -> str:
    """The paragraphs after a first line of the container's own, so that no container holds a copy of another."""
    return "\n".join([f"这一份文字放在 {kind} 里。", *PARAGRAPHS])


def write_container(directory: Path, kind: str) -> None:
    """The text of `kind` in a file of that kind."""
    text = text_of(kind)
    path = directory / f"prose.{kind}"
    if kind == "jsonl":
        path.write_text(json.dumps({"text": text}), encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.table({"text": [text]}), path)
    elif kind == "html":
        body = "".join(f"<p>{html.escape(line)}</p>" for line in text.split("\n"))
        page = f'<!doctype html><meta charset="utf-8"><title>页</title><article>{body}</article>'
        path.write_text(page.replace("`git", "<code>`git").replace("test`", "test`</code>"), encoding="utf-8")
    elif kind == "wet":
        data = text.encode()
        header = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: {len(data)}\r\n\r\n"
        path.write_bytes(header.encode() + data + b"\r\n\r\n")
    elif kind == "txt.gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_bytes(text.encode("gb18030" if kind == "gb18030.txt" else "utf-8"))


def test_text_is_published_character_for_character(tmp_path: Path) -> None:
    """Full-width forms, quotes, indents, file names, versions, code, formulas, emoji: nothing is rewritten."""
    inputs, out = tmp_path / "inputs", tmp_path / "run"
    inputs.mkdir()
    for kind in KINDS:
        write_container(inputs, kind)
    config = CurationConfig(dedup=DedupConfig(near=False))  # the containers hold near copies of each other
    curate(config, inputs=[str(inputs / "*")], out=str(out), options=RunnerOptions(workers=1))
    paths = list_files(str(out / "curated" / "zh"), suffix=".parquet")
    published = [text for path in paths for text in read_parquet(path, columns=["text"])["text"].to_pylist()]
    lines = [[line for line in text.split("\n") if line] for text in published]  # a page has blank lines between <p>
    assert sorted(lines) == sorted([f"这一份文字放在 {kind} 里。", *PARAGRAPHS] for kind in KINDS)
