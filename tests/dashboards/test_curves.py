"""What the card says of a training run."""

import json
from pathlib import Path

import pytest

from ctllm.dashboards.curves import MAX_POINTS, training_curves, with_ratios
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import write_json
from ctllm.schemas.tuning_run import EvaluationResult

LINE = '{{"step":{step},"batch":"0","label_tokens":10,"loss":2.5,"grad_norm":1,"learning_rate":0.1,"tokens_per_s":5}}\n'


def test_curve_before_and_after(training: Path) -> None:
    """The curve has a point per step; what was measured before, last and in evaluation.json stands beside it."""
    run = training_curves(str(training))
    assert (run["name"], run["steps"], run["label_tokens"]) == ("pretrain-demo", 60, 60 * 2048)
    assert [point[0] for point in run["curve"]] == list(range(60))
    assert [step for step, _ in run["evaluations"]] == [20, 40, 60]
    assert run["before"] == {"held_out_loss": 6.4}
    assert run["after"] == run["evaluations"][-1][1]
    assert run["samples"] == [60, {"中国的": "写了 59 步"}]
    assert run["results"] == {"bits_per_byte.en": 1.4, "bits_per_byte.zh": 1.21}


def test_long_curve_is_thinned(tmp_path: Path) -> None:
    """A ledger of many lines becomes at most `MAX_POINTS` and one points; the first and the last step stay."""
    steps = 3 * MAX_POINTS + 5
    (tmp_path / "ledger.jsonl").write_text("".join(LINE.format(step=step) for step in range(steps)))
    run = training_curves(str(tmp_path))
    assert run["steps"] == steps
    assert MAX_POINTS // 2 < len(run["curve"]) <= MAX_POINTS + 1
    assert (run["curve"][0][0], run["curve"][-1][0]) == (0, steps - 1)


def test_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    """A last line without its line feed belongs to a step that is not finished."""
    (tmp_path / "ledger.jsonl").write_text(LINE.format(step=0) + LINE.format(step=1)[:30])
    assert training_curves(str(tmp_path))["steps"] == 1


def test_speed_troubles_and_checkpoints(tmp_path: Path) -> None:
    """A point ends in utilisation, null where it was not measured; spikes and alarms are listed, broken places not."""
    speed = {"positions_per_s": 1, "flops_per_s": 2, "mfu": 0.4, "gemm_share": 0.6}
    more = [{"speed": speed}, {"skipped": True, "grad_norm": 60}, {"left_out": True, "alarm": "rewards fall"}]
    lines = [json.loads(LINE.format(step=step)) | each for step, each in enumerate(more)]
    (tmp_path / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (2, 3):
        place = tmp_path / "checkpoints" / f"step-{step:08d}"
        place.mkdir(parents=True)
        write_json(str(place / "state.json"), {"step": step, "label_tokens": 10 * step})
        write_json(str(place / "manifest.json"), {"model.safetensors": f"{step}" * 64})
    (tmp_path / "checkpoints" / ".step-00000004.tmp").mkdir()
    run = training_curves(str(tmp_path))
    assert [point[5:] for point in run["curve"]] == [[0.4, 0.6], [None, None], [None, None]]
    assert run["troubles"] == [[1, "skipped", 60], [2, "left_out", 1], [2, "rewards fall", 1]]
    assert run["checkpoints"] == [[2, 20, "2" * 64], [3, 30, "3" * 64]]


def test_scores_have_errors_and_baselines(tmp_path: Path) -> None:
    """An evaluation becomes a row per measure: value, standard error, what guessing and one constant letter score."""
    (tmp_path / "ledger.jsonl").write_text("")
    choice = {
        "form": "letter", "style": "ctllm", "language": "zh", "normalisation": "none", "num_shots": 5,
        "prompt_digest": "p", "items": 40, "accuracy_micro": 0.35, "accuracy_macro": 0.3, "accuracy_of_sums": 0.3,
        "standard_error": 0.075, "items_contaminated": 2, "accuracy_clean": 0.34, "chance": 0.25,
        "constant_letter": "C", "constant_letter_accuracy": 0.28, "answers_by_letter": {}, "compared_tokens": {},
        "compared_texts": {}, "items_truncated": 0, "items_unreadable": 0, "subjects": {},
    }  # fmt: skip
    pairs = {"pairs": 12, "accuracy": 0.6, "accuracy_of_sums": 0.5, "standard_error": 0.14}
    result = EvaluationResult.model_validate({
        "checkpoint": "c", "step": 3, "num_parameters": 9, "weights_digest": "w", "tokenizer_digest": "t", "config": {},
        "plan_digest": None, "bits_per_byte": {"zh": {"bits_per_byte": 1.5, "num_documents": 4}},
        "choice": {"ceval": choice}, "preferences": pairs, "seconds": 1,
    })  # fmt: skip
    write_json(str(tmp_path / "evaluation.json"), result.model_dump(mode="json"))
    run = training_curves(str(tmp_path))
    bits, ceval, preferences = run["scores"]
    assert (bits["kind"], bits["name"], bits["value"], bits["documents"]) == ("bits_per_byte", "zh", 1.5, 4)
    names = ("value", "error", "chance", "constant", "items", "contaminated", "clean", "setting")
    assert [ceval[name] for name in names] == [0.35, 0.075, 0.25, 0.28, 40, 2, 0.34, "letter, 5-shot"]
    assert (preferences["value"], preferences["error"], preferences["chance"]) == (0.6, 0.14, 0.5)
    assert run["results"] == {}


def test_a_directory_of_ratios_stands_for_its_runs(tmp_path: Path) -> None:
    """`ctllm ratios` writes a run per setting: they are shown in its place, also when the directory was moved since."""
    rows = [
        {"setting": setting, "run": f"/gone/{name}", "rows_by_lane": {"zh": 8}, "before": {}, "scores": {"loss": 2.0}}
        for setting, name in (("1:1", "zh1_en1"), ("zh only", "zh_only"))
    ]
    write_json(str(tmp_path / "ratios.json"), rows)
    (tmp_path / "zh1_en1").mkdir()
    runs, ratios = with_ratios(["runs/pretrain", str(tmp_path)])
    assert runs == ["runs/pretrain", str(tmp_path / "zh1_en1"), "/gone/zh_only"]
    assert [(row["setting"], row["scores"]) for row in ratios] == [("1:1", {"loss": 2.0}), ("zh only", {"loss": 2.0})]


def test_empty_ledger(tmp_path: Path) -> None:
    """A run that has not finished its first step has an empty curve."""
    (tmp_path / "ledger.jsonl").write_text("")
    assert training_curves(str(tmp_path))["curve"] == []


def test_wrong_directory_and_broken_line_are_named(tmp_path: Path) -> None:
    """The error says which file is missing, or which line of it is no line of a ledger."""
    with pytest.raises(InputError, match=r"ledger\.jsonl: not there"):
        training_curves(str(tmp_path))
    (tmp_path / "ledger.jsonl").write_text(LINE.format(step=0) + "{}\n")
    with pytest.raises(InputError, match=r"ledger\.jsonl, line 2: not a line of a ledger"):
        training_curves(str(tmp_path))
