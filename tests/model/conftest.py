"""What the tests of `model` share: a tiny shape, hand-made token shards, one thread."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from ctllm.model import attention
from ctllm.model.checkpoint import save_checkpoint
from ctllm.model.export import export_hf
from ctllm.model.optimizer import build_optimizer
from ctllm.model.token_shards import TokenShards
from ctllm.model.transformer import new_transformer
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.tokenizer_training import train_tokenizer
from ctllm.schemas.conversations import TABLES, ConversationKind
from ctllm.schemas.files import file_digest, write_json, write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.tokens import (
    TOKEN_INDEX,
    TOKENIZER,
    TokenCounts,
    TokenShard,
    TokensManifest,
    index_file,
    tokens_file,
)
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig, TokenizerConfig
from ctllm.schemas.training_run import TrainingState

ROOT = Path(__file__).resolve().parents[2]

Document = tuple[str, Sequence[int]]
"""Lane (or lane/source; the source is else "test") and tokens, without the end of document."""
END = 1
VOCAB_SIZE = 64


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests share the machine."""
    torch.set_num_threads(1)


@pytest.fixture
def varlen_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the CUDA kernel, for which there is none on a CPU: what that is documented to do."""

    def by_document(
        q_NHE: Tensor,
        k_NKE: Tensor,
        v_NKE: Tensor,
        bounds_D: Tensor,
        *_same: object,
        window_size: object,
    ) -> Tensor:
        assert window_size == (-1, 0)
        assert q_NHE.shape == k_NKE.shape
        parts = []
        for start, end in zip(bounds_D[:-1].tolist(), bounds_D[1:].tolist(), strict=True):
            q_1HTE, k_1KTE, v_1KTE = (x[None, start:end].transpose(1, 2) for x in (q_NHE, k_NKE, v_NKE))
            parts.append(attention.attend(q_1HTE, k_1KTE, v_1KTE, mask=attention.Mask()).transpose(1, 2)[0])
        return torch.cat(parts)

    monkeypatch.setattr(attention, "varlen_attn", by_document)


@pytest.fixture(scope="session")
def tiny() -> ModelConfig:
    """Two layers, grouped key and value heads, 32 positions."""
    return ModelConfig(
        name="tiny",
        vocab_size=VOCAB_SIZE,
        d_model=32,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        d_ffn=48,
        context_length=32,
    )


@pytest.fixture
def write_shards(tmp_path: Path, write_shards_in: Callable[..., TokenShards]) -> Callable[..., TokenShards]:
    """Writes documents as token shards, one shard per lane, two bytes of text per token."""

    def write(documents: Sequence[Document], name: str = "tokens") -> TokenShards:
        return write_shards_in(tmp_path / name, documents)

    return write


@pytest.fixture(scope="session")
def write_shards_in() -> Callable[..., TokenShards]:
    """The same, in a directory."""

    def write(path: Path, documents: Sequence[Document]) -> TokenShards:
        directory = str(path)
        by_lane: dict[str, list[tuple[str, Sequence[int]]]] = {}
        for place, tokens in documents:
            lane, _, source = place.partition("/")
            by_lane.setdefault(lane, []).append((source or "test", tokens))
        shards = [_write_shard(directory, lane, by_lane[lane], number) for number, lane in enumerate(sorted(by_lane))]
        (path / TOKENIZER).write_bytes(b"not a real model")  # nothing here is encoded or decoded
        manifest = TokensManifest(
            fingerprint=hashlib.sha256(repr(documents).encode()).hexdigest()[:16],
            tokenizer_digest=file_digest(f"{directory}/{TOKENIZER}"),
            vocab_size=VOCAB_SIZE,
            dtype="uint16",
            end_of_document_id=END,
            shards=tuple(shards),
            lanes={
                shard.lane: TokenCounts(documents=shard.documents, tokens=shard.tokens, bytes=shard.bytes)
                for shard in shards
            },
            sources={},
        )
        write_json(f"{directory}/manifest.json", manifest.model_dump(mode="json"))
        return TokenShards(directory)

    return write


def _write_shard(directory: str, lane: str, documents: Sequence[tuple[str, Sequence[int]]], number: int) -> TokenShard:
    name = f"{lane}-part-00000"
    stream = np.array([END, *(token for _, tokens in documents for token in [*tokens, END])], "<u2")
    lengths = np.array([len(tokens) + 1 for _, tokens in documents], np.int64)
    rows = len(documents)
    columns = {
        "key": np.arange(rows, dtype=np.uint64) + np.uint64(number << 28),
        "id": [str(row) for row in range(rows)],
        "url": [None if row % 2 else f"https://example.com/{lane}/{row}" for row in range(rows)],
        "lane": [lane] * rows,
        "source": [source for source, _ in documents],
        "offset": 1 + np.cumsum(lengths) - lengths,
        "num_tokens": lengths,
        "num_bytes": 2 * (lengths - 1),
    }
    write_parquet(index_file(directory, name), pa.table(columns, schema=TOKEN_INDEX))
    Path(directory, "tokens").mkdir(exist_ok=True)
    stream.tofile(tokens_file(directory, name))
    return TokenShard(
        name=name,
        lane=lane,
        documents=rows,
        tokens=int(lengths.sum()),
        bytes=int(2 * (lengths - 1).sum()),
        sha256_tokens=file_digest(tokens_file(directory, name)),
        sha256_index=file_digest(index_file(directory, name)),
    )


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tokenizer of 1,200 pieces, trained on the texts that we wrote for the examples."""
    curated, out = tmp_path_factory.mktemp("run") / "curated", str(tmp_path_factory.mktemp("tokenizer"))
    for lane in ("zh", "en", "code"):
        paths = sorted((ROOT / "examples" / "corpus" / "base" / lane).iterdir())[:8]
        texts = [path.read_text(encoding="utf-8") for path in paths]
        columns = {
            "key": pa.array(range(len(texts)), pa.uint64()),
            "source": ["examples"] * len(texts),
            "text": pa.array(texts, pa.large_string()),
            "num_chars": pa.array([len(text) for text in texts], pa.int32()),
        }
        write_parquet(str(curated / lane / "part-00000.parquet"), pa.table(columns))
    finish_stage(str(curated), stage="publish", fingerprint="", counts={}, seconds=0)
    config = TokenizerConfig(vocab_size=1200, character_coverage=0.98, held_out_share=0)
    train_tokenizer(str(curated), config=config, out=out, options=RunnerOptions(workers=1))
    return out


@pytest.fixture(scope="session")
def make_checkpoint(tokenizer_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A function that writes an untrained checkpoint with that tokenizer; keyword arguments change its shape."""

    def make(**changes: Any) -> str:
        shape = {"vocab_size": 1216, "d_model": 32, "num_layers": 2, "num_heads": 4, "d_ffn": 64, "context_length": 128}
        model = new_transformer(ModelConfig.model_validate({**shape, **changes}), seed=7)
        return save_checkpoint(
            str(tmp_path_factory.mktemp("checkpoint")),
            model=model,
            optimizer=build_optimizer(model, OptimizerConfig()),
            state=TrainingState(step=0, label_tokens=0, run_digest="", ledger_bytes=0),
            tokenizer=f"{tokenizer_directory}/{TOKENIZER}",
            keep=1,
        )

    return make


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint: Callable[..., str]) -> str:
    """An untrained checkpoint whose vocabulary is padded beyond the tokenizer's."""
    return make_checkpoint()


@pytest.fixture(scope="session")
def make_exported(make_checkpoint: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A function that exports a checkpoint, or an untrained one with the given changes of its shape."""

    def make(checkpoint: str | None = None, **changes: Any) -> str:
        return export_hf(checkpoint or make_checkpoint(**changes), str(tmp_path_factory.mktemp("exported")))

    return make


@pytest.fixture
def write_chats(tmp_path: Path) -> Callable[[Sequence[Any]], str]:
    """A function that writes lists of messages as converted conversations."""

    def write(chats: Sequence[Any]) -> str:
        rows = [{"messages": chat} for chat in chats]
        return _write_converted(str(tmp_path / f"chats-{len(chats)}"), "sft", rows)

    return write


@pytest.fixture
def write_pairs(tmp_path: Path) -> Callable[[Sequence[Any]], str]:
    """A function that writes (prompt, chosen, rejected) as converted preference pairs."""

    def write(pairs: Sequence[Any]) -> str:
        rows = [{"prompt": prompt, "chosen": chosen, "rejected": rejected} for prompt, chosen, rejected in pairs]
        return _write_converted(str(tmp_path / "pairs"), "preference", rows)

    return write


def _write_converted(out: str, kind: ConversationKind, rows: list[dict[str, Any]]) -> str:
    name, schema = TABLES[kind]
    origins = [
        {"id": str(n), "source": "test", "lane": "zh", "digest": hashlib.md5(repr(row).encode()).hexdigest()}
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist([{**origin, **row} for origin, row in zip(origins, rows, strict=True)], schema=schema)
    write_parquet(f"{out}/{name}/part-00000.parquet", table)
    finish_stage(out, stage="conversations", fingerprint="", counts={}, seconds=0)
    return out


class ChatServer:
    """A real HTTP server that answers chats by a function of the body: a text, or (status, bytes, headers).

    `asked` holds the body of each request and `keys` its Authorization header, in order.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = 0
        self._at_once = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.asked.append(body)
                    outer.keys.append(self.headers.get("Authorization"))
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                result = answer(body) if self.path == "/v1/chat/completions" else (404, b"no such path", {})
                if isinstance(result, str):
                    choice = {"index": 0, "message": {"role": "assistant", "content": result}, "finish_reason": "stop"}
                    result = (200, json.dumps({"model": "served", "choices": [choice]}).encode(), {})
                status, content, headers = result
                with lock:
                    outer._at_once -= 1
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Stops listening: a later connection is refused."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def chat_server() -> Iterator[Callable[[Callable[[dict[str, Any]], Any]], ChatServer]]:
    """Starts ChatServers."""
    servers: list[ChatServer] = []

    def start(answer: Callable[[dict[str, Any]], Any]) -> ChatServer:
        servers.append(ChatServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
