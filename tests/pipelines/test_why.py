"""`why`: everything the run knows about one document."""

from pathlib import Path

import pytest

from ctllm.pipelines.why import explain
from ctllm.schemas.errors import InputError


def test_removed_document_has_all_its_reasons(small_run: Path) -> None:
    """A spam page is shown with every failing rule, the value seen and the threshold."""
    found = explain(str(small_run / "run"), "spam")
    assert not found.kept
    failed = {rule.reason: rule for rule in found.rules if rule.failed}
    assert set(failed) == {each["reason"] for each in found.reasons}
    rule = failed["max_gambling_share"]
    assert rule.threshold is not None
    assert rule.value > rule.threshold


def test_copy_shows_the_document_kept_instead(small_run: Path) -> None:
    """A removed copy names the survivor, and the survivor names its copies."""
    copy = explain(str(small_run / "run"), "copy-exact")
    assert copy.kept_instead is not None
    assert copy.kept_instead["other"]["id"] == "good-0"
    survivor = explain(str(small_run / "run"), "good-0")
    assert [each["other"]["id"] for each in survivor.stands_for] == ["copy-exact"]
    assert survivor.kept


def test_document_is_found_by_url_and_key(small_run: Path) -> None:
    """URL and key lead to the same document as the id."""
    by_url = explain(str(small_run / "run"), "https://a.example/2")
    assert by_url.document["id"] == "good-2"
    assert explain(str(small_run / "run"), str(by_url.document["key"])).document["id"] == "good-2"


def test_unknown_document_is_refused(small_run: Path) -> None:
    """A name that no document has is named, with where to look."""
    with pytest.raises(InputError, match=r"nothing-like-it.*failures"):
        explain(str(small_run / "run"), "nothing-like-it")
