"""What the terminal says about decisions: everything that is known, as it is, whatever stands in a document."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ctllm.cli.console import console
from ctllm.cli.explanations import print_comparison, print_explanation, print_json, print_pairs, print_what_if
from ctllm.pipelines.comparison import Comparison, FunnelRow, KeptRow, RuleRow
from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.pairs import pairs_of_texts
from ctllm.pipelines.what_if import what_if
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.signals import SIGNAL_GROUPS
from tests.pipelines.conftest import SPAM, prose, write_records

MARKUP = "[red]不是颜色[/red] [/] [link=https://x.example]"
STEERING = "\x1b[2J\x07\x9b31m"
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(0, 2**64 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "kept_key", "a"]), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A copy, spam, and a page whose id would colour, clear and ring the terminal if it could."""
    directory = tmp_path_factory.mktemp("explanations")
    rows: list[dict[str, object] | str] = [
        {"id": "one", "url": "https://a.example/1", "text": prose(1)},
        {"id": "other", "text": "编者按：转载时略有改动。\n" + prose(1).replace("，", ",")},
        {"id": "spam", "text": SPAM},
        {"id": MARKUP + STEERING, "text": f"{MARKUP}\n" + prose(2)},
    ]
    inputs = [str(write_records(directory / "in.jsonl", rows))]
    curate(CurationConfig(), inputs=inputs, out=str(directory / "run"), options=RunnerOptions(workers=1))
    return str(directory / "run")


def shown(print_it: Any, *arguments: Any) -> str:
    """What a terminal of 200 columns would get."""
    with pytest.MonkeyPatch.context() as patch, console.capture() as capture:
        patch.setattr(console, "_width", 200)
        print_it(*arguments)
    return capture.get()


def test_a_removed_copy_is_explained_whole(run: str) -> None:
    """Its fate, the reason with value and bound, the document kept instead, what differs, every rule, its text."""
    found = explain(run, "one")
    said = shown(print_explanation, found, SIGNAL_GROUPS)
    assert said.startswith("removed  one  https://a.example/1\n")
    jaccard = found.reasons[0]["value"]
    assert f"✗ near_duplicate {jaccard:.4g} against 0.8" in said
    assert f"kept instead: other  (near, Jaccard {jaccard:.3f}, containment" in said
    assert "differences" in said
    assert all(rule.reason in said for rule in found.rules)
    assert "".join(said.split()).endswith("".join(found.document["text"].split()))  # wrapped at the right edge


def test_a_refused_document_says_what_the_rule_costs(run: str) -> None:
    """The value beside what was asked for, where the number comes from, and how many documents the rule refuses."""
    said = shown(print_explanation, explain(run, "spam"), SIGNAL_GROUPS)
    assert "✗ max_gambling_share" in said
    assert ", asked for ≤ 0.03" in said
    assert "cost: refuses 1 of 4 documents of the lane (25.0%), " in said


def test_a_page_cannot_steer_the_terminal(run: str) -> None:
    """Markup in ids and texts stands as it was written; escape sequences and bells are shown, not sent."""
    assert f"\n{MARKUP}\n" in shown(print_explanation, explain(run, MARKUP + STEERING), SIGNAL_GROUPS)
    for said in (
        shown(print_explanation, explain(run, MARKUP + STEERING), SIGNAL_GROUPS),
        shown(print_what_if, what_if(run, overrides={"rules.zh.min_num_chars": 10**6})),
    ):
        assert f"{MARKUP}␛[2J␇\ufffd31m" in said
        assert not {"\x1b", "\x07", "\x9b"} & set(said)


def test_pairs_say_who_goes(run: str) -> None:
    """Both documents with their fates; the changed characters in brackets between what stands around them."""
    said = shown(print_pairs, pairs_of_texts(run, min_jaccard=0, max_jaccard=1, source=None, limit=10))
    assert "A: one https://a.example/1 in, " in said
    assert said.count("removed as a copy") == 2  # one is, the other is not
    assert said.count("not removed as a copy") == 1
    assert "[，]" in said
    assert "[,]" in said
    assert shown(print_pairs, []) == "no pairs within these bounds\n"


def test_two_runs_stand_side_by_side() -> None:
    """Counts of both, their difference with its share, bounds that are off; of one run only the funnel."""
    found = Comparison(
        runs=("runs/a", "runs/b"),
        kept=[KeptRow("web", "zh", (10, 10), (8, 6), (800, 600), (400, 400))],
        funnel=[FunnelRow("web", "zh", "removed", "max_digit_share", (0, 2))],
        rules=[RuleRow("zh", "max_digit_share", (None, 0.25), (0, 2), (0, 1))],
    )
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown(print_comparison, found).splitlines()]
    assert ["web", "zh", "documents", "8", "6", "-2"] in cells
    assert ["", "", "tokens", "400", "400", "="] in cells
    assert ["web", "zh", "removed", "max_digit_share", "0", "2", "+2"] in cells
    assert ["zh", "max_digit_share", "off", "0.25", "0", "2", "0", "1"] in cells
    alone = Comparison(("runs/a",), [], [FunnelRow("web", "zh", "kept", "", (8,))], [])
    said = shown(print_comparison, alone)
    assert "rules" not in said
    assert ["web", "zh", "kept", "", "8"] in [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()
    ]


@given(st.dictionaries(st.sampled_from(["key", "cluster_id", "b"]), VALUES))
def test_json_is_json_for_every_reader(value: dict[str, Any]) -> None:
    """Keys of documents are text (JavaScript rounds above 2^53), NaN is null: a strict parser reads all of it."""
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("builtins.print", written.append)
        assume("inf" not in repr(value))
        print_json(value)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    back = json.loads(written[0], parse_constant=refuse)
    assert back.keys() == value.keys()
    assert all(back[name] == str(value[name]) for name in back.keys() - {"b"})


def test_the_json_of_a_document_has_what_the_terminal_shows(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the explanation, the key as text."""
    found = explain(run, "one")
    print_json(found)
    back = json.loads(capsys.readouterr().out)
    assert back.keys() == {*vars(found)}
    assert back["document"]["key"] == str(found.document["key"])
    assert back["kept_instead"]["other"]["id"] == "other"
