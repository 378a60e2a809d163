"""Similar sentences within a document, against a plain twin of the CT-LLM rule and what the authors' code cut."""

import gzip
import hashlib
import io
import itertools
import json
import random
import re
from pathlib import Path

import numba as nb
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.sentences import cut_as_ctllm
from ctllm.pipelines.dedup.similar_sentences import _BINS, _count, _least_edits, similar_to_earlier

_CUTS = re.compile(r"(?<=[.!?。！？…\\\]】])|(?=[\[【])")


@nb.njit
def _distance(one: np.ndarray, other: np.ndarray) -> int:
    """Edit distance by the table of the textbook; compiled, for there are many pairs."""
    row = np.arange(len(other) + 1)
    for i in range(len(one)):
        before, row[0] = row[0], i + 1
        for j in range(len(other)):
            before, row[j + 1] = row[j + 1], min(before + (one[i] != other[j]), row[j + 1] + 1, row[j] + 1)
    return row[-1]


def _is_similar(one: np.ndarray, other: np.ndarray) -> bool:
    if np.array_equal(one, other):
        return True
    longer = max(len(one), len(other))
    if min(len(one), len(other)) <= 15 or abs(len(one) - len(other)) > 0.1 * longer:
        return False
    return int(_distance(one, other)) <= 0.1 * longer


def _twin(text: str) -> list[tuple[str, bool]]:
    """Every sentence and whether it stays."""
    stays: list[np.ndarray] = []
    judged = []
    for sentence in filter(None, _CUTS.split(text)):
        letters = np.frombuffer(sentence.encode("utf-32-le"), np.uint32)
        is_new = not any(_is_similar(letters, earlier) for earlier in stays)
        judged.append((sentence, is_new))
        if is_new:
            stays.append(letters)
    return judged


def _found(texts: list[str]) -> list[list[tuple[str, bool]]]:
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    sentences = cut_as_ctllm(batch.codepoints, batch.offsets)
    earlier = similar_to_earlier(batch.codepoints, sentences)
    characters = batch.codepoints.tobytes().decode("utf-32-le")
    judged = [
        (characters[start:end], bool(other < 0))
        for start, end, other in zip(sentences.starts_S, sentences.ends_S, earlier, strict=True)
    ]
    return [judged[start:stop] for start, stop in itertools.pairwise(sentences.offsets.tolist())]


def _stay(text: str) -> list[bool]:
    return [stays for _, stays in _found([text])[0]]


def _changed(sentence: str, edits: int, chance: random.Random) -> str:
    letters = list(sentence)
    for _ in range(edits):
        at = chance.randrange(len(letters))
        kind = chance.randrange(3)
        if kind == 0:
            letters[at] = "异"
        elif kind == 1:
            letters.insert(at, "增")
        else:
            del letters[at]
    return "".join(letters)


@pytest.mark.parametrize(
    "alphabet", ["零一", "天地玄黄宇宙洪荒日月", "ab c,\n", "".join(map(chr, range(0x4E00, 0x5200)))]
)
def test_sentences_go_as_the_plain_rule_says(alphabet: str) -> None:
    """What goes is what comparing each sentence with every earlier one by the textbook's table says."""
    chance = random.Random(alphabet)
    texts = []
    for _ in range(40):
        pool = ["".join(chance.choices(alphabet, k=chance.randrange(9, 70))) for _ in range(4)]
        changed = [_changed(chance.choice(pool), chance.randrange(8), chance) for _ in range(10)]
        marks = chance.choices(["。", ".", "！", "…", "]", "\\", "【", "["], k=len(changed))
        texts.append("".join(f"{sentence}{mark}" for sentence, mark in zip(changed, marks, strict=True)))
    assert _found(texts) == [_twin(text) for text in texts]


def test_the_longest_document_of_the_authors_is_compared_completely() -> None:
    """10,000 characters of sentences that all begin alike stay within what one sentence may cost."""
    chance = random.Random(1)
    for size in (18, 300):
        head, tail = "本章所称的经营者是" * 40, "甲乙丙丁戊己庚辛壬癸" * 60
        text = ""
        while len(text) < 10_000 - size:
            text += head[: size // 2] + "".join(chance.sample(tail, size - size // 2 - 1)) + "。"
        text += _changed(text[:size], size // 10, chance)
        assert _found([text]) == [_twin(text)], size


def test_a_piece_that_all_sentences_hold_is_walked_to_its_oldest() -> None:
    """The first of 1,600 sentences with one beginning is still found by the last."""
    chance = random.Random(2)
    first = "各位观众朋友" + "一二三四五六七八九十"
    texts = [first, *("各位观众朋友" + "".join(chance.choices("天地玄黄宇宙洪荒日月盈昃", k=9)) for _ in range(1600))]
    assert _stay("。".join([*texts, first[:-1] + "拾"]) + "。")[-1] is False


def test_a_tenth_of_the_longer_sentence_may_differ() -> None:
    """Of 20 characters two may differ and not three; of 19 one."""
    twenty = "春江潮水连海平海上明月共潮生滟滟随波千。"
    assert len(twenty) == 20
    assert _stay(twenty + "夏河" + twenty[2:]) == [True, False]
    assert _stay(twenty + "夏河湖" + twenty[3:]) == [True, True]
    assert _stay(twenty + twenty[:5] + "夏" + twenty[6:12] + "河" + twenty[13:]) == [True, False], "6 between are alike"
    assert _stay(twenty[1:] + "河" + twenty[2:]) == [True, False]
    assert _stay(twenty[1:] + "河湖" + twenty[3:]) == [True, True]
    assert _stay(twenty + twenty[:9] + twenty[11:]) == [True, False], "two characters less"
    assert _stay(twenty[:9] + twenty[11:] + twenty) == [True, False], "two characters more"


def test_up_to_15_characters_only_equal_sentences_go() -> None:
    """A sentence of 15 characters goes if it is said again, not if one character is another."""
    fifteen, sixteen = "一二三四五六七八九十甲乙丙丁。", "一二三四五六七八九十甲乙丙丁戊。"
    assert (len(fifteen), len(sixteen)) == (15, 16)
    assert _stay(fifteen + fifteen) == [True, False]
    assert _stay(fifteen + "零" + fifteen[1:]) == [True, True]
    assert _stay(sixteen + "零" + sixteen[1:]) == [True, False]
    assert _stay(fifteen + sixteen) == _stay(sixteen + fifteen) == [True, True], "the shorter one has 15"


def test_sentences_that_went_are_not_compared_with() -> None:
    """A sentence similar only to one that went stays."""
    one = "春江潮水连海平海上明月共潮生滟滟随波千。"
    near, far = "夏河" + one[2:], "夏河" + one[2:10] + "夏河" + one[12:]
    assert _stay(one + near + far) == [True, False, True]


def test_brackets_and_marks_cut_as_in_the_authors_code() -> None:
    """An opening bracket begins a sentence, a closing one and every mark end one; a line break is nothing."""
    text = "甲\n乙[丙]丁【戊】己……庚/辛\\壬!"
    assert [sentence for sentence, _ in _found([text])[0]] == [
        "甲\n乙", "[丙]", "丁", "【戊】", "己…", "…", "庚/辛\\", "壬!",
    ]  # fmt: skip


def test_each_text_is_its_own() -> None:
    """Equal sentences of two documents stay, and an empty document has none."""
    assert _found(["", "今天。", "", "今天。", ""]) == [[], [("今天。", True)], [], [("今天。", True)], []]
    assert _found([]) == []


def test_a_text_without_any_mark_is_compared_in_time() -> None:
    """Of a sentence of a million characters a changed copy goes; where all are equal the search is given up."""
    chance = random.Random(3)
    million = "".join(chance.choices("".join(map(chr, range(0x4E00, 0x5200))), k=1_000_000))
    assert _stay(million + "。" + _changed(million, 100, chance) + "。") == [True, False]
    assert _stay("啊" * 1_000_000 + "。" + "啊" * 999_000 + "。") == [True, True]


@pytest.mark.private_data
def test_all_golden_documents_come_out_as_the_authors_left_them(private_data: Path) -> None:
    """The text that stays of 1,500 real pages has the digest of the text that the authors' own code left."""
    golden_file = private_data.parent / "golden" / "ctllm_similar_line_web_zh_wet.jsonl.gz"
    with gzip.open(golden_file, "rt", encoding="utf-8") as file:
        golden = [json.loads(line) for line in file]
    with (private_data / "restricted" / "web_zh_wet.jsonl.zst").open("rb") as raw:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
        texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    assert len(golden) == 1500
    for row, judged in zip(golden, _found([texts[row["id"]] for row in golden]), strict=True):
        left = "".join(sentence for sentence, stays in judged if stays)
        assert len(judged) == row["num_sentences"], row["id"]
        assert hashlib.sha256(left.encode()).hexdigest() == row["sha256_out"], row["id"]


def _bag(sentence: str) -> np.ndarray:
    bag_B = np.empty(_BINS, np.uint16)
    _count(np.frombuffer(sentence.encode("utf-32-le"), np.uint32), bag_B)
    return bag_B


def test_counts_of_characters_never_promise_more_edits_than_there_are() -> None:
    """Sentences are told apart by their letters alone where these differ too much, and in no other case."""
    chance = random.Random(3)
    for edits in range(40):
        one = "".join(chance.choices("the quick brown fox 山高月小水落石出", k=60))
        other = _changed(one, edits, chance)
        letters = [np.frombuffer(each.encode("utf-32-le"), np.uint32) for each in (one, other)]
        assert _least_edits(_bag(one), _bag(other)) <= _distance(*letters)
    assert _least_edits(_bag("abcdef"), _bag("abcxyzuv")) == 5
    assert _least_edits(_bag("a" * 70_000 + "b"), _bag("a" * 66_000)) == 1, "what does not fit a count is not missed"


def test_hashes_of_pieces_do_not_depend_on_the_place() -> None:
    """A sentence is found wherever it stands in its batch."""
    sentence = "白日依山尽黄河入海流欲穷千里目更上一层楼。"
    texts = ["前" * size + "。" + sentence + sentence for size in range(1, 20)]
    assert [[stays for _, stays in judged] for judged in _found(texts)] == [[True, True, False]] * 19
    assert np.all([len(judged) == 3 for judged in _found(texts)])
