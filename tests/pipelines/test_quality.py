"""The quality score: prepared alike wherever a text comes from, NaN where it means nothing, part of the fingerprint."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.quality import QualityModel, prepare, score_documents
from ctllm.pipelines.why import explain
from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import InputError, MissingPartError
from ctllm.schemas.files import read_parquet
from tests.pipelines.conftest import SPAM, menu_page, prose, write_records


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("你好，World！", "你 好 , world !"),
        ("ＡＢＣ　１２３\n\n漢字𠮷かなㄅ 한국", "abc 123 漢 字 𠮷 か な ㄅ 한 국"),
        ("don't_stop", "don ' t_stop"),
        (" \n\t", ""),
        ("", ""),
    ],
)
def test_texts_become_characters_words_and_marks(text: str, tokens: str) -> None:
    """Width, case and line breaks are folded away; Han characters stand alone, words stay whole."""
    assert prepare(text, num_chars=100) == tokens


def test_only_the_beginning_is_read() -> None:
    """`num_chars` characters of the text, the last one included."""
    assert prepare("甲乙丙丁", num_chars=3) == "甲 乙 丙"


def test_good_text_scores_above_junk(quality_model: Path) -> None:
    """Also texts that the model never saw; one without tokens has no score."""
    good, menu, spam, empty = QualityModel(str(quality_model)).score([prose(3)[100:], menu_page(77), SPAM, " \n"])
    assert good > 0.5 > menu
    assert good > spam
    assert math.isnan(empty)


def test_scores_do_not_depend_on_the_batch(quality_model: Path) -> None:
    """A text scores alone as among others."""
    scorer = QualityModel(str(quality_model))
    texts = [prose(index) for index in range(4)] + [""]
    together = scorer.score(texts)
    alone = np.concatenate([scorer.score([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)


def test_code_and_other_languages_have_no_score(quality_model: Path) -> None:
    """The model is trained on prose, so a score of code would mean nothing; without a model nothing has one."""
    documents = pa.record_batch({"lane": ["zh", "code", "other", "en"], "text": [prose(0), "x = 1", "été", "A text."]})
    scores = score_documents(QualityModel(str(quality_model)), documents)
    assert np.isnan(scores).tolist() == [False, True, True, False]
    assert np.isnan(score_documents(None, documents)).all()


def test_what_is_no_whole_model_is_refused(quality_model: Path, tmp_path: Path) -> None:
    """A missing directory, a model without its card, a card of another model."""
    with pytest.raises(MissingPartError, match=r"quality\.model: .*nowhere holds no model\.bin"):
        QualityModel(str(tmp_path / "nowhere"))
    (tmp_path / "model.bin").write_bytes((quality_model / "model.bin").read_bytes())
    with pytest.raises(MissingPartError, match="ctllm quality train"):
        QualityModel(str(tmp_path))
    card = json.loads((quality_model / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"model_sha256": "0" * 64}))
    with pytest.raises(InputError, match=r"is not the file that model\.json describes"):
        QualityModel(str(tmp_path))


def test_curate_removes_below_the_configured_score(quality_model: Path, tmp_path: Path) -> None:
    """The whole way: the signal is measured, the rule removes with it, a run without model keeps, another measures."""
    records = [{"id": "good", "text": prose(2)}, {"id": "junk", "text": menu_page(77)}]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]

    def run(quality: object, minimum: float | None) -> Path:
        rules = {"zh": {"min_quality_score": minimum}}
        config = parse_config({"rules": rules, "quality": {"model": quality}}, CurationConfig, origin="test")
        out = tmp_path / f"run-{quality is None}-{minimum}"
        curate(config, inputs=inputs, out=str(out), options=RunnerOptions(workers=1))
        return out

    scored = run(str(quality_model), 0.5)
    good, bad = explain(str(scored), "good"), explain(str(scored), "junk")
    assert good.signals["quality_score"] > 0.5
    assert "min_quality_score" not in [each["reason"] for each in good.reasons]
    reason = next(each for each in bad.reasons if each["reason"] == "min_quality_score")
    assert (reason["value"], reason["threshold"]) == (pytest.approx(bad.signals["quality_score"]), 0.5)
    without = run(None, 0.5)
    signals = read_parquet(str(without / "signals" / "part-00000.parquet"))
    assert np.isnan(signals["quality_score"].to_numpy()).all()
    assert "min_quality_score" not in [each["reason"] for each in explain(str(without), "junk").reasons]
