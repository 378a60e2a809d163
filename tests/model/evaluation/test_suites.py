"""Suites on local files."""

from pathlib import Path

import pytest

from ctllm.model.evaluation.choice import ChoiceTask
from ctllm.model.evaluation.suites import suite_tasks
from ctllm.model.evaluation.text_tasks import TextTask
from ctllm.schemas.errors import ConfigError, InputError


def write_ceval(directory: Path) -> None:
    """One question of C-Eval's logic, with one example."""
    for split in ("val", "dev"):
        path = directory / "ceval" / split / f"logic_{split}.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"id,question,A,B,C,D,answer\n0,{split}题,甲,乙,丙,丁,C\n")


def test_missing_files_are_named_with_what_brings_them(tmp_path: Path) -> None:
    """A suite without files names every benchmark, the file and the command; what is there can be measured alone."""
    write_ceval(tmp_path)
    with pytest.raises(InputError) as caught:
        suite_tasks("zh", data=[str(tmp_path)])
    assert "cmmlu: no cmmlu/test/*.csv below" in str(caught.value)
    assert "it comes by: ctllm fetch hf haonan-li/cmmlu" in str(caught.value)
    tasks = suite_tasks("zh", data=[str(tmp_path)], allows_missing=True)
    assert [(task.name, task.form) for task in tasks.choice] == [("ceval", "letter"), ("ceval-cloze", "cloze")]
    assert any(sentence.startswith("ocnli: ") for sentence in tasks.missing)
    with pytest.raises(InputError, match="humaneval: no"):
        suite_tasks("code", data=[str(tmp_path)], allows_missing=True)
    with pytest.raises(ConfigError, match="one of zh, en, code, full"):
        suite_tasks("de", data=[])


def test_styles_put_other_words_around_a_question(tmp_path: Path) -> None:
    """lm-eval says the header once and a space before the answer, OpenCompass the header each time and 考试 in it."""
    write_ceval(tmp_path)
    prompts = {}
    for style in ("lm_eval", "opencompass"):
        tasks = suite_tasks("zh", data=[str(tmp_path)], style=style, num_shots=1, allows_missing=True)  # type: ignore[arg-type]
        task = ChoiceTask(tasks.choice[0])
        prompts[style] = task._pairs("logic", task.subjects[0].items[0])[2]
    shown = "A. 甲\nB. 乙\nC. 丙\nD. 丁"
    lm_eval = "以下是中国关于逻辑学的单项选择题，请选出其中的正确答案。\n\n"
    assert prompts["lm_eval"] == (f"{lm_eval}dev题\n{shown}\n答案： C\n\nval题\n{shown}\n答案：", " C")
    header = "以下是中国关于逻辑学考试的单项选择题，请选出其中的正确答案。\n"
    assert prompts["opencompass"] == (f"{header}dev题\n{shown}\n答案: C\n{header}val题\n{shown}\n答案: ", "C")


def test_every_local_file_is_read(private_data: Path) -> None:
    """All benchmarks that lie beside the checkout are found and read in their native formats."""
    data = [str(private_data / part / "eval") for part in ("open", "restricted")]
    tasks = suite_tasks("full", data=data, allows_missing=True)
    assert {sentence.split(":")[0] for sentence in tasks.missing} == {"hellaswag", "cvalues", "cvalues_comparison"}
    read = {task.name: ChoiceTask(task) for task in tasks.choice} | {task.name: TextTask(task) for task in tasks.text}
    sizes = {
        name: sum(len(subject.items) for subject in task.subjects) if isinstance(task, ChoiceTask) else len(task.items)
        for name, task in read.items()
    }
    assert {"ceval", "ceval-cloze", "cmmlu", "mmlu", "gaokao_bench", "agieval_zh", "ocnli", "chid", "copa"} <= set(
        sizes
    )
    assert (sizes["humaneval"], sizes["gsm8k"], sizes["lambada"], sizes["copa"], sizes["chid"]) == (
        164,
        678,
        200,
        45,
        202,
    )
    assert min(sizes.values()) > 40
