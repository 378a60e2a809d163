"""The conversion job: nothing is lost, copies are found across files, and workers change no byte."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ctllm.pipelines.conversations import convert_conversations, find_inputs
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.conversation_config import ConversationConfig
from ctllm.schemas.conversations import CONVERSATION_FAILURES, CONVERSATIONS, PREFERENCES
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import read_parquet
from ctllm.schemas.manifest import StageManifest

OPTIONS = RunnerOptions(workers=1)


def chat(question: str) -> bytes:
    """One conversation as a line."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "好"}]
    return json.dumps({"messages": messages}, ensure_ascii=False).encode() + b"\n"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Plain, gzip and zstd files with copies within and across them, broken lines, an empty file, a cut-off gzip."""
    directory = tmp_path / "in"
    directory.mkdir()
    lines = [chat("一"), b"\n", chat("二"), chat("一"), b"{broken\n", chat("三").rstrip()]
    (directory / "a.jsonl").write_bytes(b"".join(lines))
    (directory / "b.jsonl.gz").write_bytes(gzip.compress(chat("二") + chat("四") + b'{"messages": []}\n'))
    (directory / "c.jsonl.zst").write_bytes(zstandard.compress(chat("五")) + zstandard.compress(chat("四")))
    (directory / "d.jsonl").write_bytes(b"\n \n")
    (directory / "e.jsonl.gz").write_bytes(gzip.compress(b"".join(chat(str(n)) for n in range(1500)))[:-400])
    (directory / "readme.txt").write_bytes(b"not chat data")
    return directory


def convert(inputs: Path, out: Path, options: RunnerOptions = OPTIONS) -> StageManifest:
    """The conversion of a directory."""
    return convert_conversations([str(inputs)], kind="sft", out=str(out), options=options)


def questions(out: Path, part: int) -> list[str]:
    """The users' questions of one output file."""
    rows = read_parquet(f"{out}/conversations/part-{part:05d}.parquet").to_pylist()
    return [row["messages"][0]["content"] for row in rows]


def failures(out: Path, part: int) -> list[tuple[int, str, str]]:
    """Line, error and message of one file of failures."""
    rows: list[dict[str, Any]] = read_parquet(f"{out}/failures/part-{part:05d}.parquet").to_pylist()
    return [(row["line"], row["error"], row["message"]) for row in rows]


def test_every_record_is_kept_or_has_a_reason(inputs: Path, tmp_path: Path) -> None:
    """The sums agree; the first of equal conversations stays, the others name it; damage costs what it broke."""
    manifest = convert(inputs, tmp_path / "out")
    assert [questions(tmp_path / "out", part) for part in range(4)] == [["一", "二", "三"], ["四"], ["五"], []]
    name = str(inputs / "a.jsonl")
    assert [failure[:2] for failure in failures(tmp_path / "out", 0)] == [(5, "broken_json"), (4, "duplicate")]
    assert failures(tmp_path / "out", 0)[1][2] == f"same messages as {name} line 1"
    assert failures(tmp_path / "out", 1)[1] == (1, "duplicate", f"same messages as {name} line 3")
    assert [failure[1] for failure in failures(tmp_path / "out", 2)] == ["duplicate"]
    assert failures(tmp_path / "out", 3) == [(0, "empty_file", "no line holds anything")]
    damaged = len(questions(tmp_path / "out", 4))
    assert 500 < damaged < 1500
    assert [failure[:2] for failure in failures(tmp_path / "out", 4)] == [(damaged + 1, "unreadable")]
    counts = manifest.counts
    assert counts["read"] == counts["kept"] + counts["failed"]
    assert counts == {
        "read": 12 + damaged,
        "kept": 5 + damaged,
        "failed": 7,
        "kept:zh": 5 + damaged,
        "failed:broken_json": 1,
        "failed:duplicate": 3,
        "failed:empty_file": 1,
        "failed:no_assistant_turn": 1,
        "failed:unreadable": 1,
    }
    for part in range(5):  # the schemas, also where a file has no row or no failure
        assert read_parquet(f"{tmp_path}/out/conversations/part-{part:05d}.parquet").schema == CONVERSATIONS
        assert read_parquet(f"{tmp_path}/out/failures/part-{part:05d}.parquet").schema == CONVERSATION_FAILURES


def test_workers_change_no_byte(inputs: Path, tmp_path: Path) -> None:
    """One worker or three: every file has the same digest, and a second run does nothing."""
    one = convert(inputs, tmp_path / "one")
    three = convert(inputs, tmp_path / "three", RunnerOptions(workers=3))
    assert one.files == three.files
    assert convert(inputs, tmp_path / "one") == one


def test_preferences_have_their_own_table(tmp_path: Path) -> None:
    """Preference pairs go to preferences/ with their schema."""
    pair = {"prompt": "你好", "chosen": "您好", "rejected": "走开"}
    (tmp_path / "p.jsonl").write_text(json.dumps(pair) + "\n")
    out = str(tmp_path / "out")
    manifest = convert_conversations([str(tmp_path / "p.jsonl")], kind="preference", out=out, options=OPTIONS)
    assert manifest.counts == {"read": 1, "kept": 1, "failed": 0, "kept:zh": 1}
    table = read_parquet(f"{out}/preferences/part-00000.parquet")
    assert (table.schema, table["rejected"].to_pylist()) == (PREFERENCES, ["走开"])


POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。这首诗写的是诗人在秋夜里看到月光时对家乡的思念之情。"


def lines(*records: object) -> str:
    """JSON Lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def test_near_copies_name_what_they_are_copies_of(tmp_path: Path) -> None:
    """A long answer with another full stop is a near copy, a sum with another operator is not; it can be off."""
    first, second = ({"instruction": "讲讲《静夜思》", "output": POEM * 3 + end} for end in ("。", "！"))
    sums = [{"instruction": f"计算 12{sign}12", "output": str(result)} for sign, result in (("+", 24), ("*", 144))]
    (tmp_path / "a.jsonl").write_text(lines(first, *sums))
    (tmp_path / "b.jsonl").write_text(lines(second))
    out = tmp_path / "out"
    given = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    manifest = convert_conversations(given, kind="sft", out=str(out), options=OPTIONS)
    assert manifest.counts == {"read": 4, "kept": 3, "failed": 1, "kept:zh": 3, "failed:near_duplicate": 1}
    ((line, error, message),) = failures(out, 1)
    assert (line, error) == (1, "near_duplicate")
    assert message.startswith(f"near copy of {tmp_path}/a.jsonl line 1, Jaccard 0.9")
    assert not ConversationConfig(near=False).dedup(answers_vary=False).near


def test_pairs_to_one_prompt_are_no_copies(tmp_path: Path) -> None:
    """The best answer beside each worse one stays as several pairs, however alike they are; only equal ones go."""
    pairs = [{"prompt": POEM, "chosen": POEM, "rejected": rejected} for rejected in ("好诗。", "好诗！", "好诗。")]
    (tmp_path / "p.jsonl").write_text(lines(*pairs))
    out = str(tmp_path / "out")
    manifest = convert_conversations([str(tmp_path / "p.jsonl")], kind="preference", out=out, options=OPTIONS)
    assert manifest.counts == {"read": 3, "kept": 2, "failed": 1, "kept:zh": 2, "failed:duplicate": 1}


def test_benchmark_items_are_not_trained_on(tmp_path: Path) -> None:
    """A conversation that holds a benchmark's question goes, with the item's name; its clean copy elsewhere stays."""
    item = {"id": "s7", "question": POEM, "A": "李白", "B": "杜甫", "C": "白居易", "D": "王维"}
    (tmp_path / "poems.jsonl").write_text(lines(item))
    leaked = {"instruction": f"问：{POEM}请问作者是谁？", "output": "李白。"}
    (tmp_path / "in.jsonl").write_text(lines(leaked, {"instruction": "作者是谁？", "output": "李白。"}, leaked))
    config = ConversationConfig(benchmarks=(str(tmp_path / "poems.jsonl"),))
    arguments = {"kind": "sft", "out": str(tmp_path / "out"), "options": OPTIONS, "config": config}
    manifest = convert_conversations([str(tmp_path / "in.jsonl")], **arguments)
    assert manifest.counts == {"read": 3, "kept": 1, "failed": 2, "kept:zh": 1, "failed:benchmark_item": 2}
    assert failures(tmp_path / "out", 0)[0] == (1, "benchmark_item", "holds 100% of poems s7")
    assert convert_conversations([str(tmp_path / "in.jsonl")], **arguments) == manifest
    (tmp_path / "poems.jsonl").write_text(lines({**item, "id": "s8"}))
    with pytest.raises(OutputError, match="choose another --out"):
        convert_conversations([str(tmp_path / "in.jsonl")], **arguments)


def test_trees_become_conversations_and_pairs(tmp_path: Path) -> None:
    """Messages of OpenAssistant trees, a line each, give the best conversation of each tree and its ranked pairs."""

    def message(own: str, parent: str | None, role: str, text: str, rank: int | None = None) -> dict[str, Any]:
        return {
            "message_id": own, "parent_id": parent, "message_tree_id": own[0], "role": role, "text": text,
            "rank": rank, "lang": "zh", "deleted": False,
        }  # fmt: skip

    one = [
        message("a", None, "prompter", "问"),
        message("a2", "a", "assistant", "差", 1),
        message("a1", "a", "assistant", "好", 0),
    ]
    two = [message("b", None, "prompter", "问二"), message("b1", "x", "assistant", "无主", 0)]
    (tmp_path / "m.jsonl").write_text(lines(*one, *two))
    out = tmp_path / "out"
    manifest = convert_conversations([str(tmp_path / "m.jsonl")], kind="sft", out=str(out), options=OPTIONS)
    assert manifest.counts == {"read": 2, "kept": 1, "failed": 1, "kept:zh": 1, "failed:wrong_shape": 1}
    (row,) = read_parquet(f"{out}/conversations/part-00000.parquet").to_pylist()
    assert (row["id"], [each["content"] for each in row["messages"]]) == ("a", ["问", "好"])
    assert failures(out, 0)[0][:2] == (4, "wrong_shape")
    convert_conversations([str(tmp_path / "m.jsonl")], kind="preference", out=str(tmp_path / "pairs"), options=OPTIONS)
    (pair,) = read_parquet(f"{tmp_path}/pairs/preferences/part-00000.parquet").to_pylist()
    assert (pair["id"], pair["chosen"], pair["rejected"]) == ("a#0", "好", "差")


def test_parquet_rows_are_records(tmp_path: Path) -> None:
    """Pairs published as Parquet become what they would be as JSON Lines; a broken file is one counted failure."""
    messages = [{"content": "你好", "role": "user"}, {"content": "您好", "role": "assistant"}]
    worse = [messages[0], {"content": "走开", "role": "assistant"}]
    pair = {"source": None, "prompt": "你好", "chosen": messages, "rejected": worse, "ranks": [1, 2]}
    pq.write_table(pa.Table.from_pylist([pair, {**pair, "rejected": messages}]), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "c.jsonl").write_text(json.dumps(pair) + "\n")
    out = str(tmp_path / "out")
    manifest = convert_conversations([str(tmp_path)], kind="preference", out=out, options=OPTIONS)
    rows = read_parquet(f"{out}/preferences/part-00000.parquet").to_pylist()
    assert [(row["prompt"][0]["content"], row["chosen"], row["rejected"]) for row in rows] == [("你好", "您好", "走开")]
    assert failures(tmp_path / "out", 0)[0][:2] == (2, "chosen_equals_rejected")
    assert failures(tmp_path / "out", 1)[0][:2] == (1, "unreadable")
    assert failures(tmp_path / "out", 2)[0][:2] == (1, "duplicate")
    assert (manifest.counts["read"], manifest.counts["kept"]) == (4, 1)


def test_dead_inputs_are_explained(inputs: Path, tmp_path: Path) -> None:
    """A missing file, a directory without chat data and a file without a usable record each end in one message."""
    (tmp_path / "empty").mkdir()
    for given in (tmp_path / "nothing.jsonl", tmp_path / "empty", tmp_path / "*.csv"):
        with pytest.raises(InputError, match="nothing to read there"):
            find_inputs([str(given)])
    with pytest.raises(InputError, match=r"none of 1 records can be used \(1 empty_file\); see"):
        convert(inputs / "d.jsonl", tmp_path / "out")
    assert find_inputs([str(inputs / "*.jsonl"), str(inputs / "a.jsonl")]) == [
        str(inputs / "a.jsonl"),
        str(inputs / "d.jsonl"),
    ]


def test_a_directory_of_other_inputs_is_refused(inputs: Path, tmp_path: Path) -> None:
    """A finished conversion is not overwritten by another one."""
    convert(inputs / "a.jsonl", tmp_path / "out")
    with pytest.raises(OutputError, match="choose another --out"):
        convert(inputs / "b.jsonl.gz", tmp_path / "out")
