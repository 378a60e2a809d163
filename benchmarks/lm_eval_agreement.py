"""Our log-likelihoods beside lm-evaluation-harness's, item by item, on one exported model; one JSON line.

    python benchmarks/lm_eval_agreement.py TOKENIZER LM_EVAL_PYTHON DATA...

TOKENIZER is a directory with a tokenizer.model of ours, DATA are directories as for `ctllm evaluate --data`, and
LM_EVAL_PYTHON is the interpreter of an environment of its own with `pip install "lm-eval[hf]" sentencepiece`, as its 49
packages have no place in ours. An untrained model with large weights is exported; both sides read the same files, the
harness through task files that are written here with the templates of its own tasks (ceval-valid, cmmlu, mmlu, piqa,
copa). Given are the items, the choices compared, and the largest difference of a log-probability in nats.

The harness never begins a text with `<|endofdoc|>`, our models always do; so the written tasks put it first.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from ctllm.model.checkpoint import save_checkpoint
from ctllm.model.evaluation.choice import ChoiceTask
from ctllm.model.evaluation.suites import suite_tasks
from ctllm.model.export import export_hf
from ctllm.model.generate import Writer
from ctllm.model.optimizer import build_optimizer
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.evaluation_config import ChoiceTaskConfig
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig
from ctllm.schemas.training_run import TrainingState

MAX_ITEMS = 12
BEGIN = "<|endofdoc|>"
LETTERS = ["A", "B", "C", "D"]
SHOWN_ZH = "{{%s.strip()}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\n答案："
SHOWN_EN = "{{question.strip()}}\nA. {{choice0}}\nB. {{choice1}}\nC. {{choice2}}\nD. {{choice3}}\nAnswer:"
TEMPLATES: dict[str, dict[str, Any]] = {
    "ceval": {
        "doc_to_text": SHOWN_ZH % "question",
        "doc_to_choice": LETTERS,
        "doc_to_target": "{{['A', 'B', 'C', 'D'].index(answer)}}",
    },
    "cmmlu": {
        "doc_to_text": SHOWN_ZH % "Question",
        "doc_to_choice": LETTERS,
        "doc_to_target": "{{['A', 'B', 'C', 'D'].index(Answer)}}",
    },
    "mmlu": {"doc_to_text": SHOWN_EN, "doc_to_choice": LETTERS, "doc_to_target": "answer"},
    "piqa": {"doc_to_text": "{{query.strip()}}\nAnswer:", "doc_to_choice": "choices", "doc_to_target": "gold"},
    "copa": {"doc_to_text": "{{query.strip()}}", "doc_to_choice": "choices", "doc_to_target": "gold"},
}


def untrained(tokenizer: str, run: str) -> str:
    """A checkpoint of 2 layers and 2,048 positions whose logits differ by several nats."""
    shape = {"d_model": 64, "num_layers": 2, "num_heads": 4, "d_ffn": 128, "context_length": 2048, "init_std": 0.2}
    vocab_size = -(-Tokenizer(tokenizer).vocab_size // 64) * 64
    model = new_transformer(ModelConfig.model_validate({"vocab_size": vocab_size, **shape}), seed=1)
    return save_checkpoint(
        run,
        model=model,
        optimizer=build_optimizer(model, OptimizerConfig()),
        state=TrainingState(step=0, label_tokens=0, run_digest="", ledger_bytes=0),
        tokenizer=Tokenizer(tokenizer).path,
        keep=1,
    )


def chosen_tasks(data: Sequence[str]) -> list[ChoiceTaskConfig]:
    """lm-eval's style on the first file of each benchmark."""
    tasks = suite_tasks("full", data=data, style="lm_eval", max_items=MAX_ITEMS, allows_missing=True).choice
    return [
        task.model_copy(update={"items": task.items[:1], "name": task.name}) for task in tasks if task.name in TEMPLATES
    ]


def write_task(task: ChoiceTaskConfig, ours: ChoiceTask, directory: Path) -> None:
    """The harness's task file for the same items and examples."""
    (subject,) = ours.subjects
    name = task.subject_names.get(subject.name, subject.name.replace("_", " "))
    splits = {"test": task.items[0]}
    if task.num_shots:
        splits["dev"] = next(path for path in task.shots if Path(path).stem.removesuffix("_dev") == subject.name)
    description = {
        "task": f"ctllm_{task.name}",
        "dataset_path": "csv" if task.items[0].endswith(".csv") else "json",
        "dataset_kwargs": {"data_files": splits},
        "test_split": "test",
        "output_type": "multiple_choice",
        "description": BEGIN + ours.wording.header.format(subject=name),
        "num_fewshot": task.num_shots,
        **({"fewshot_split": "dev", "fewshot_config": {"sampler": "first_n"}} if task.num_shots else {}),
        **TEMPLATES[task.name],
        "metric_list": [{"metric": "acc"}],
    }
    (directory / f"{task.name}.yaml").write_text(yaml.safe_dump(description, allow_unicode=True))


def run_harness(python: str, model: str, names: Sequence[str], directory: Path) -> dict[str, list[list[float]]]:
    """Task to the log-probabilities of each item's choices, as the harness logged them."""
    command = [python, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", "4", "--log_samples"]
    arguments = ["--model_args", f"pretrained={model},dtype=float32", "--limit", str(MAX_ITEMS)]
    places = ["--include_path", str(directory), "--output_path", str(directory / "out")]
    cache = {"HF_HOME": str(directory / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    tasks = ["--tasks", ",".join(f"ctllm_{name}" for name in names)]
    subprocess.run([*command, *arguments, *places, *tasks], check=True, env={**os.environ, **cache}, stdout=sys.stderr)
    found = {}
    for name in names:
        (log,) = (directory / "out").rglob(f"samples_ctllm_{name}_*.jsonl")
        samples = sorted(map(json.loads, log.read_text().splitlines()), key=lambda sample: int(sample["doc_id"]))
        found[name] = [[float(response[0][0]) for response in sample["resps"]] for sample in samples]
    return found


def score_ours(task: ChoiceTask, model: Transformer, tokenizer: Tokenizer) -> list[list[float]]:
    """The same from `ctllm evaluate`."""
    _, rows = task.run(model, tokenizer=tokenizer, per_batch=16)
    return [list(row.log_probabilities) for row in rows]


def main(tokenizer: str, python: str, *data: str) -> None:
    """Prints one JSON line."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        checkpoint = untrained(tokenizer, str(directory / "run"))
        exported = export_hf(checkpoint, str(directory / "exported"))
        tasks = {config.name: (config, ChoiceTask(config)) for config in chosen_tasks(data)}
        for config, task in tasks.values():
            write_task(config, task, directory)
        theirs = run_harness(python, exported, list(tasks), directory)
        writer = Writer.load(checkpoint)
        result: dict[str, object] = {}
        for name, (config, task) in tasks.items():
            ours = score_ours(task, writer.model, writer.tokenizer)
            pairs = [
                (one, other)
                for mine, harness in zip(ours, theirs[name], strict=True)
                for one, other in zip(mine, harness, strict=True)
            ]
            result[name] = {
                "items": len(ours),
                "choices": len(pairs),
                "num_shots": config.num_shots,
                "max_difference": max(abs(one - other) for one, other in pairs),
                "log_probability_range": [min(one for one, _ in pairs), max(one for one, _ in pairs)],
            }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
