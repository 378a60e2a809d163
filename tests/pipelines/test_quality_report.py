"""What a model says of documents: by source and outcome, with examples."""

from pathlib import Path

import numpy as np
import pytest

from ctllm.pipelines.quality import QualityModel
from ctllm.pipelines.quality_report import NUM_EXAMPLES, QUANTILES, report_quality
from tests.pipelines.conftest import BASE, prose


def test_files_are_scored_by_source(quality_model: Path) -> None:
    """Quantiles are those of the scores; examples are the extreme documents."""
    found = report_quality([str(BASE / "zh")], model=str(quality_model))
    texts = [path.read_text(encoding="utf-8") for path in sorted((BASE / "zh").glob("*.txt"))]
    scores = QualityModel(str(quality_model)).score(texts)
    (group,) = found.groups
    assert (group.source, group.outcome, group.num_documents) == ("zh", "", len(texts))
    assert group.quantiles == pytest.approx(np.quantile(scores, QUANTILES), abs=1e-6)
    assert [each.score for each in found.examples["highest"]] == pytest.approx(sorted(scores)[::-1][:NUM_EXAMPLES])
    assert [each.score for each in found.examples["lowest"]] == pytest.approx(sorted(scores)[:NUM_EXAMPLES])


def test_runs_are_scored_by_outcome(quality_model: Path, small_run: Path) -> None:
    """Kept and removed documents of a run apart; the excerpt is the document's own text."""
    found = report_quality([str(small_run / "run")], model=str(quality_model))
    counts = {(each.source, each.outcome): each.num_documents for each in found.groups}
    assert counts == {("bad", "kept"): 2, ("bad", "removed"): 2, ("good", "kept"): 6, ("good", "removed"): 2}
    shown = {each.id: each.excerpt for each in found.examples["highest"]}
    name = next(each for each in shown if each.startswith("good-"))
    assert " ".join(prose(int(name.removeprefix("good-"))).split()).startswith(shown[name])
