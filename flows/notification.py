"""Tells a person: a webhook, a command, or only the log. What is called is a secret and never logged.

CTLLM_NOTIFY_URL, or the Prefect Secret block `ctllm-notify-url`, gets a JSON POST with the key `text` (as Slack, Feishu
bots behind a relay, Mattermost and Teams workflows read it); CTLLM_NOTIFY_COMMAND gets the same JSON on standard input.
"""

import json
import os
import shlex
import subprocess
import urllib.request
from typing import Any

from prefect import get_run_logger
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import MissingContextError
from prefect.flows import Flow
from prefect.logging import get_logger

URL_VARIABLE, COMMAND_VARIABLE = "CTLLM_NOTIFY_URL", "CTLLM_NOTIFY_COMMAND"
URL_BLOCK = "ctllm-notify-url"
TIMEOUT_S = 10.0


def notify(event: str, text: str) -> None:
    """Sends `text`; whatever goes wrong is a warning that names no address, never an error of the run."""
    message = json.dumps({"event": event, "text": text}, ensure_ascii=False).encode()
    logger = _logger()
    logger.warning("%s: %s", event, text)
    try:
        if command := os.environ.get(COMMAND_VARIABLE):
            subprocess.run(shlex.split(command), input=message, timeout=TIMEOUT_S, check=True, capture_output=True)
        if url := _url():
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(url, data=message, headers=headers, method="POST")
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except Exception as error:  # the kind alone: messages of libraries hold addresses and output
        logger.warning("the notification was not delivered (%s)", type(error).__name__)


def notify_of_end(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """A flow's hook for failures and crashes: the run's name and how it ended, not what it was called with."""
    notify(f"ctllm.{flow.name}.{state.type.value.lower()}", f"{flow.name}, run {flow_run.name}: {state.name}")


def _url() -> str | None:
    if url := os.environ.get(URL_VARIABLE):
        return url
    try:
        return str(Secret.load(URL_BLOCK).get())  # type: ignore[union-attr]  # the synchronous form
    except ValueError:  # no such block
        return None


def _logger() -> Any:  # noqa: ANN401 - one of two kinds of adapter
    try:
        return get_run_logger()
    except MissingContextError:  # hooks of a crash run in the worker
        return get_logger("ctllm")
