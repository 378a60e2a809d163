"""The curation config: what cannot work is refused before any work starts."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.errors import ConfigError


def refusal(**values: object) -> str:
    """The message with which these values are refused."""
    with pytest.raises(ConfigError) as caught:
        parse_config(values, CurationConfig, origin="c.yaml")
    return str(caught.value)


def test_defaults_are_a_whole_config() -> None:
    """An empty file is a valid config."""
    assert parse_config({}, CurationConfig, origin="c.yaml") == CurationConfig()


def test_containment_below_threshold_is_refused() -> None:
    """Containment is never below Jaccard, so a bound below the threshold would accept everything."""
    assert "containment below dedup.threshold" in refusal(dedup={"threshold": 0.8, "containment": 0.5})
    values = {"dedup": {"threshold": 0.8, "containment": 0.8}}
    assert parse_config(values, CurationConfig, origin="c.yaml").dedup.containment == 0.8


@pytest.mark.parametrize("action", ["cut", "flag"])
def test_a_bound_below_the_evidence_is_refused(action: str) -> None:
    """Items of less overlap than is recorded have no known place: a bound below that cannot be cut or flagged at."""

    def values(bound: float | None, action: str, lane: str = "en") -> dict[str, object]:
        return {"decontamination": {"action": action}, "rules": {lane: {"max_benchmark_overlap": bound}}}

    message = refusal(**values(0.29, action))
    for key in ("decontamination.action", "rules.en.max_benchmark_overlap", "decontamination.min_recorded_overlap"):
        assert key in message
    for accepted in (values(0.3, action), values(None, action), values(0.29, "drop"), values(0.1, action, "ctllm_zh")):
        parse_config(accepted, CurationConfig, origin="c.yaml")


def test_leaks_that_are_cut_remove_no_document() -> None:
    """The rule on overlap decides under `drop` and is off in every lane otherwise; all other rules are the same."""
    dropping, cutting = (
        parse_config({"decontamination": {"action": action}}, CurationConfig, origin="c.yaml")
        for action in ("drop", "cut")
    )
    for rules in (dropping, cutting):
        for lane, ruleset in rules.deciding_rules.by_lane().items():
            bounds = {rule.name: rule.threshold for rule in ruleset.rules()}
            plain = {rule.name: rule.threshold for rule in rules.rules.by_lane()[lane].rules()}
            assert bounds.pop("max_benchmark_overlap") == (0.8 if rules is dropping else None)
            assert plain.pop("max_benchmark_overlap") == 0.8
            assert bounds == plain


@pytest.mark.parametrize(("group", "key", "value"), [
    ("dedup", "threshold", 1.0),
    ("dedup", "threshold", 0.0),
    ("dedup", "survivor_order", ["luck"]),
    ("guard", "max_failed_share", 1.01),
    ("sources", "extractor", "magic"),
    ("privacy", "mobile", "delete"),
])  # fmt: skip
def test_values_that_cannot_work_are_refused(group: str, key: str, value: object) -> None:
    """Each out-of-range or unknown value is refused with its place."""
    assert f"{group}.{key}" in refusal(**{group: {key: value}})


def test_a_bare_off_is_off() -> None:
    """YAML reads `off` as false; that means off here, while `on` says nothing about what to do."""
    assert parse_config({"privacy": {"mobile": False}}, CurationConfig, origin="c.yaml").privacy.mobile == "off"
    assert "privacy.mobile" in refusal(privacy={"mobile": True})
    lines = parse_config({"lines": {"within_document": False}}, CurationConfig, origin="c.yaml").lines
    assert lines.within_document == "off"


def test_name_is_fit_for_a_file() -> None:
    """The run's name becomes part of paths and ids: lower case, digits, dashes."""
    assert "name" in refusal(name="Meine Läufe")


def test_preset_sets_what_is_not_given() -> None:
    """`dedup.preset: ctllm` is the authors' scheme, single keys override it, and reading it back changes nothing."""
    values = {"dedup": {"preset": "ctllm", "shingle_chars": 7}}
    dedup = parse_config(values, CurationConfig, origin="c.yaml").dedup
    assert (dedup.bands, dedup.scheme, dedup.form, dedup.verify) == ((9, 13), "legacy", "verbatim", False)
    assert (dedup.shingle_hash, type(dedup)().shingle_hash) == ("sha1", "mixed")
    assert (dedup.shingle_chars, dedup.min_shingles, dedup.survivor_order) == (7, 1, ("key",))
    assert type(dedup).model_validate(dedup.model_dump(mode="json")) == dedup
    assert type(dedup)(preset="recommended") == type(dedup)()
    assert "'recommended' or 'ctllm'" in refusal(dedup={"preset": "datatrove"})


def test_best_copy_by_a_score_that_nobody_measures_is_refused() -> None:
    """`survivor_order: [quality]` needs a classifier; without one every document would be without a score."""
    assert "quality.model" in refusal(dedup={"survivor_order": ["quality", "date"]})
    values = {"dedup": {"survivor_order": ["quality", "date"]}, "quality": {"model": "m"}}
    assert parse_config(values, CurationConfig, origin="c.yaml").dedup.survivor_order == ("quality", "date")


def test_bands_beyond_the_permutations_are_refused() -> None:
    """Nine bands of 13 rows fit 117 permutations and not 116; a band has at least a row."""
    assert "bands 9 x 13 need more than num_permutations=116" in refusal(
        dedup={"bands": [9, 13], "num_permutations": 116}
    )
    assert parse_config({"dedup": {"bands": [9, 13], "num_permutations": 117}}, CurationConfig, origin="c.yaml")
    assert "bands.1" in refusal(dedup={"bands": [9, 0]})


def test_sha1_of_folded_tokens_is_refused() -> None:
    """It is the hash of characters as they stand; the authors' preset over folded tokens has to say so."""
    assert "not with form=folded" in refusal(dedup={"shingle_hash": "sha1"})
    assert "shingle_hash sha1" in refusal(dedup={"preset": "ctllm", "form": "folded"})
    values = {"dedup": {"preset": "ctllm", "form": "folded", "shingle_hash": "mixed"}}
    assert parse_config(values, CurationConfig, origin="c.yaml").dedup.form == "folded"


def test_threshold_is_read_by_signing_where_it_makes_the_bands() -> None:
    """With bands of one's own another threshold compares the same signatures anew; without, it asks for others."""
    bands = DedupConfig(bands=(9, 13))
    assert bands.measured == DedupConfig(bands=(9, 13), threshold=0.7).measured
    assert DedupConfig().measured != DedupConfig(threshold=0.7).measured
    assert DedupConfig().measured != DedupConfig(min_shingles=21).measured
