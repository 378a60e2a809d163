"""The commands that put a model to use, as processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from ctllm.model.evaluation.judge import judge
from ctllm.schemas.endpoint_config import EndpointConfig
from ctllm.schemas.judge_config import JudgeConfig

from .conftest import ENVIRONMENT, ROOT, Miniature, run_ctllm

PROGRAM = [sys.executable, "-m", "ctllm.cli.main"]


def test_serve_answers_and_stops_cleanly(miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says where it listens, wants its key, answers clients and a judge's run; SIGTERM ends it with 0."""
    arguments = ["serve", str(miniature.workspace / "dpo"), "--port", "0", "--api-key-env", "KEY", "--threads", "1"]
    process = subprocess.Popen(
        [*PROGRAM, *arguments, "--name", "tiny"],
        cwd=ROOT,
        env={**ENVIRONMENT, "KEY": "sesame", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = re.search(r"tiny is served at (http://127\.0\.0\.1:\d+/v1)", process.stdout.readline())
        assert url is not None
        with openai.OpenAI(base_url=url[1], api_key="sesame", max_retries=0, timeout=60) as client:
            reply = client.completions.create(model="tiny", prompt="春天", max_tokens=3)
        assert reply.usage is not None
        monkeypatch.setenv("KEY", "sesame")
        endpoint = EndpointConfig(base_url=url[1], model="tiny", api_key_env="KEY")
        (tmp_path / "questions.jsonl").write_text('{"question_id": 1, "category": "写作", "turns": ["写", "再写"]}\n')
        judged = judge(
            JudgeConfig(
                questions=(str(tmp_path / "questions.jsonl"),),
                answers=endpoint,
                judge=endpoint,
                out=str(tmp_path / "judged"),
                max_answer_tokens=4,
                max_judge_tokens=4,
            )
        )
        assert (judged.model, judged.answers_failed, judged.overall.questions) == ("tiny", 0, 1)
        assert judged.judgements_failed + judged.judgements_unreadable == 4  # the prompts are longer than its context
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=60)
        assert (process.returncode, messages) == (0, "")
    finally:
        process.kill()


def test_serve_is_not_open_to_others_without_a_key(miniature: Miniature) -> None:
    """An address beyond this machine needs a key; the refusal says how."""
    result = run_ctllm("serve", miniature.workspace / "dpo", "--host", "0.0.0.0")
    assert result.returncode == 2
    assert "pass --api-key-env NAME" in result.stderr


def test_chat_reads_lines_and_answers(miniature: Miniature) -> None:
    """Piped lines are messages; the same seed gives the same conversation, and /clear makes it begin again."""
    arguments = ["chat", str(miniature.workspace / "dpo"), "--max-new-tokens", "6", "--temperature", "0"]
    result = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        input="你好\n/clear\n\n你好\n/exit\n没有人读\n",
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, "")
    half = len(result.stdout) // 2
    assert result.stdout[:half] == result.stdout[half:] != ""
