"""Other thresholds, against `ctllm decide --dry-run`, which judges every document anew."""

from pathlib import Path

import pytest

from ctllm.dashboards.queries import RunDatabase
from ctllm.dashboards.thresholds import Changes, border, what_if
from ctllm.pipelines.what_if import what_if as judged_anew
from ctllm.schemas.errors import ConfigError

CASES: dict[str, Changes] = {
    "nothing": {},
    "one stricter": {("zh", "max_digit_share"): 0.02},
    "several, both ways": {
        ("zh", "min_num_chars"): 400.0,
        ("zh", "min_prose_share"): None,
        ("en", "min_num_words"): 150.0,
        ("code", "max_max_line_chars"): 80.0,
    },
    "all of a lane off": {("code", name): None for name in ("min_num_chars", "max_is_generated")},
    "a rule that was off": {("en", "max_brief_line_share"): 0.4},
    "lengths after cuts": {("zh", "min_num_chars"): 111.0},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_what_decide_would_keep(case: str, corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Documents, characters, tokens of every lane; exactly, or between the bounds where copies are chosen anew."""
    changes = CASES[case]
    answer = what_if(corpus_database, changes)
    expected = judged_anew(
        str(corpus_run), overrides={f"rules.{lane}.{rule}": bound for (lane, rule), bound in changes.items()}
    )
    for lane in answer["lanes"]:
        groups = [group for group in expected.groups if group.lane == lane["lane"]]
        assert lane["documents"] == sum(group.now.documents for group in groups)
        for unit, amounts in lane["amounts"].items():
            now, then = (
                sum(getattr(getattr(group, when), f"kept_{unit}") for group in groups) for when in ("now", "then")
            )
            least, most = amounts["kept"]
            assert amounts["kept_now"] == now
            assert least <= then <= most
            assert answer["open_groups"] or least == most
    assert answer["documents"] == sum(group.now.documents for group in expected.groups)


def test_some_cases_open_groups_of_copies(corpus_database: RunDatabase) -> None:
    """The cases above hold both kinds: groups that are settled, and groups of which another document may stay."""
    assert [bool(what_if(corpus_database, changes)["open_groups"]) for changes in CASES.values()].count(True) >= 1
    assert not what_if(corpus_database, {})["open_groups"]


def test_a_bound_itself_is_kept(corpus_database: RunDatabase) -> None:
    """A document that measures exactly the new bound passes; the next number below refuses it."""
    row = corpus_database.rows("SELECT max(s_digit_share) AS most FROM documents WHERE lane = 0 AND failing = 0", {})[0]
    (zh,) = (
        lane
        for lane in what_if(corpus_database, {("zh", "max_digit_share"): row["most"]})["lanes"]
        if lane["lane"] == "zh"
    )
    assert zh["newly_removed"] == 0
    below = {("zh", "max_digit_share"): row["most"] - 1e-6}
    (zh,) = (lane for lane in what_if(corpus_database, below)["lanes"] if lane["lane"] == "zh")
    assert zh["newly_removed"] >= 1


def test_the_command_that_does_the_same_is_given(corpus_database: RunDatabase) -> None:
    """Overrides are written as `ctllm decide --set` takes them; a rule that is switched off is null."""
    changes: Changes = {("zh", "max_digit_share"): 0.25, ("en", "max_hash_share"): None}
    assert what_if(corpus_database, changes)["overrides"] == [
        "rules.zh.max_digit_share=0.25",
        "rules.en.max_hash_share=null",
    ]


def test_documents_at_the_border_are_the_nearest(corpus_database: RunDatabase) -> None:
    """Those shown passed and are refused now by the changed rule, the nearest to the bound first."""
    found = border(corpus_database, {("zh", "max_digit_share"): 0.01})
    values = [each["value"] for each in found]
    assert values
    assert values == sorted(values)
    assert {each["change"] for each in found} == {"newly_removed"}
    assert all(each["value"] > 0.01 and not {"max_digit_share"} & set(each["reasons"]) for each in found)
    above = "lane = 0 AND failing = 0 AND s_digit_share > 0.01::FLOAT"
    rows = corpus_database.rows(f"SELECT min(s_digit_share) AS nearest FROM documents WHERE {above}", {})
    assert values[0] == rows[0]["nearest"]


def test_a_rule_that_is_none_is_refused(corpus_database: RunDatabase) -> None:
    """An unknown lane or rule names those that there are."""
    with pytest.raises(ConfigError, match=r"zh\.max_nothing: no rule of this run; those of zh are min_num_chars"):
        what_if(corpus_database, {("zh", "max_nothing"): 1.0})
    with pytest.raises(ConfigError, match="those of xx are none"):
        what_if(corpus_database, {("xx", "max_digit_share"): 1.0})
