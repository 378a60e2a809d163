"""The picture of what was made from what: digests compared with what lies there, nothing taken on trust."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ctllm.dashboards.lineage import attached, lineage
from ctllm.model.checkpoint import weights_digest
from ctllm.schemas.files import file_digest, read_json, write_json
from ctllm.schemas.manifest import SUCCESS, StageManifest
from ctllm.schemas.tokens import LanePlan, PlanManifest, TokenCounts, TokensManifest, tokens_fingerprint

COUNTS = TokenCounts(documents=3, tokens=30, bytes=90)


def write_training(directory: Path, identity: dict[str, Any], *, stage: str, data: dict[str, str] | None) -> str:
    """A training run with one checkpoint; gives the digest of its weights as the next training records it."""
    model = torch.nn.Linear(3, 2)
    place = directory / "checkpoints" / "step-00000007"
    place.mkdir(parents=True)
    save_file(dict(model.state_dict()), place / "model.safetensors")
    write_json(str(place / "manifest.json"), {"model.safetensors": file_digest(str(place / "model.safetensors"))})
    write_json(str(directory / "run.json"), identity)
    write_json(str(directory / "summary.json"), {"stage": stage})
    if data:
        write_json(str(directory / "data.json"), data)
    return weights_digest(model)


@pytest.fixture
def way(tmp_path: Path, make_run: Callable[..., Path]) -> Path:
    """`run`, `tokens`, `plan`, `pretrain` and `sft` of one way, with digests that agree."""
    shutil.copytree(make_run(30, hostile=False), tmp_path / "run")
    files = {"zh/part-00000.parquet": "aa", "en/part-00000.parquet": "bb"}
    manifest = StageManifest(stage="publish", fingerprint="f", files=files, counts={"kept": 3})
    write_json(str(tmp_path / "run" / "curated" / SUCCESS), manifest.model_dump())
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokenizer.model").write_bytes(b"pieces")
    tokenizer = file_digest(str(tmp_path / "tokens" / "tokenizer.model"))
    parts = [("en-part-00000", "bb"), ("zh-part-00000", "aa")]
    tokens = TokensManifest(
        fingerprint=tokens_fingerprint(parts, tokenizer), tokenizer_digest=tokenizer, vocab_size=5, dtype="uint16",
        end_of_document_id=1, shards=(), lanes={"zh": COUNTS}, sources={},
    )  # fmt: skip
    write_json(str(tmp_path / "tokens" / "manifest.json"), tokens.model_dump(mode="json"))
    lane = LanePlan(
        available_tokens=30, planned_tokens=30, epochs=1, wanted_share=1, planned_share=1, held_out_documents=0
    )
    plan = PlanManifest(
        plan_digest="c" * 16, tokens_fingerprint=tokens.fingerprint, config={}, context_length=8, num_sequences=4,
        num_segments=4, num_label_tokens=29, padding_share=0, num_documents=3, num_split_documents=0, missing_lanes=(),
        lanes={"zh": lane}, sources={}, files={},
    )  # fmt: skip
    write_json(str(tmp_path / "plan" / "manifest.json"), plan.model_dump(mode="json"))
    data = {"tokens": str(tmp_path / "tokens"), "plan": str(tmp_path / "plan")}
    identity = {"stage": "pretrain", "plan": plan.plan_digest, "tokenizer": tokenizer, "weights": None}
    weights = write_training(tmp_path / "pretrain", identity, stage="pretrain", data=data)
    write_training(tmp_path / "sft", {"weights": weights, "tokenizer": tokenizer}, stage="sft", data=None)
    return tmp_path


def found(way: Path, *trainings: str) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Nodes by kind and name, and the state of every link by the kinds it joins."""
    picture = lineage(str(way / "run"), [str(way / each) for each in trainings or ("pretrain", "sft")])
    kinds = {
        node["id"]: node["kind"] + (f" {node['name']}" if node["kind"] == "training" else "")
        for node in picture["nodes"]
    }
    links = {(kinds[each["from"]], kinds[each["to"]]): each["state"] for each in picture["links"]}
    return {kinds[node["id"]]: node for node in picture["nodes"]}, links


WAY = {
    ("curated", "tokens"), ("tokenizer", "tokens"), ("tokens", "plan"), ("tokenizer", "training pretrain"),
    ("plan", "training pretrain"), ("training pretrain", "checkpoint"), ("checkpoint", "training sft"),
    ("training sft", "checkpoint"),
}  # fmt: skip


def test_an_honest_way_agrees_from_end_to_end(way: Path) -> None:
    """Text, tokenizer, tokens, plan, pretraining, its checkpoint and the tuning from it are one chain."""
    nodes, links = found(way)
    assert links == dict.fromkeys(WAY, "same")
    assert nodes["plan"]["facts"] == {"labels": 29}
    assert nodes["tokens"]["facts"] == {"tokens": 30}
    assert nodes["training sft"]["facts"] == {"stage": "sft"}


def changed_text(way: Path) -> None:
    """The text was curated again after it was tokenized."""
    path = str(way / "run" / "curated" / SUCCESS)
    write_json(path, read_json(path) | {"files": {"zh/part-00000.parquet": "dd"}})


def changed_plan(way: Path) -> None:
    """Another plan was made in the same place."""
    path = str(way / "plan" / "manifest.json")
    write_json(path, read_json(path) | {"plan_digest": "e" * 16, "tokens_fingerprint": "other"})


def changed_tokenizer(way: Path) -> None:
    """Another tokenizer lies beside the shards."""
    (way / "tokens" / "tokenizer.model").write_bytes(b"others")


def changed_weights(way: Path) -> None:
    """A bit of the checkpoint was flipped."""
    (path,) = way.glob("pretrain/checkpoints/*/model.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("change", "expected"), [
    (changed_text, {("curated", "tokens"): "other"}),
    (changed_plan, {("tokens", "plan"): "other", ("plan", "training pretrain"): "other"}),
    (changed_tokenizer, {("tokenizer", "tokens"): "other"}),
    (changed_weights, {("training pretrain", "checkpoint"): "other", ("checkpoint", "training sft"): "unchecked"}),
])  # fmt: skip
def test_what_differs_is_shown(way: Path, change: Callable[[Path], None], expected: dict[tuple[str, str], str]) -> None:
    """Whatever was changed since, the links to it, and no others, say that the digests differ."""
    change(way)
    assert found(way)[1] == dict.fromkeys(WAY, "same") | expected


def test_what_is_gone_is_shown_as_missing(way: Path) -> None:
    """Deleted shards and a plan that was moved away stay in the picture, without a digest, and nothing is claimed."""
    shutil.rmtree(way / "tokens")
    (way / "plan").rename(way / "elsewhere")
    nodes, links = found(way, "pretrain")
    assert nodes["tokens"]["digest"] is nodes["plan"]["digest"] is None
    assert links[("plan", "training pretrain")] == links[("tokens", "plan")] == "unchecked"


def test_a_tuning_alone_names_its_unknown_beginning(way: Path) -> None:
    """Without the training that it began from, a tuning comes from weights that are known by their digest only."""
    nodes, links = found(way, "sft")
    assert links[("checkpoint", "training sft")] == "unchecked"
    assert [node["digest"] for node in nodes.values() if node["kind"] == "training"]
    assert json.dumps(nodes)


def test_trainings_are_attached_by_what_they_recorded(way: Path, tmp_path: Path) -> None:
    """Pretraining by the text of its tokens, tuning by its first weights; others, and what is broken, are not."""
    other = tmp_path / "of_other_text"
    shutil.copytree(way / "pretrain", other)
    shutil.copytree(way / "tokens", tmp_path / "other_tokens")
    manifest = read_json(str(tmp_path / "other_tokens" / "manifest.json"))
    write_json(str(tmp_path / "other_tokens" / "manifest.json"), manifest | {"fingerprint": "f" * 16})
    write_json(
        str(other / "data.json"), read_json(str(other / "data.json")) | {"tokens": str(tmp_path / "other_tokens")}
    )
    shutil.copytree(way / "sft", tmp_path / "of_unknown")
    write_json(str(tmp_path / "of_unknown" / "run.json"), {"weights": "0" * 64})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    trainings = [str(tmp_path / name) for name in ("sft", "broken", "of_unknown", "of_other_text", "pretrain")]
    assert attached(str(way / "run"), trainings) == [str(way / "pretrain"), str(way / "sft")]
