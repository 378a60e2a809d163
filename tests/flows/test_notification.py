"""A person is told, and nothing secret is logged on the way."""

import json
import logging
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ctllm.flows.notification import COMMAND_VARIABLE, URL_VARIABLE, notify

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SECRET = "T0KEN-planted"


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.delenv(COMMAND_VARIABLE, raising=False)


def test_a_webhook_gets_the_text(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A JSON POST with `event` and `text`; the address is in no log line."""
    received: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.handle_request, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(URL_VARIABLE, f"http://127.0.0.1:{server.server_port}/hooks/{SECRET}")
    with caplog.at_level(logging.DEBUG):
        notify("ctllm.version.rejected", "zh@3 被拒绝")
    server.server_close()
    assert received == [{"event": "ctllm.version.rejected", "text": "zh@3 被拒绝"}]
    assert SECRET not in caplog.text


def test_a_command_gets_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same JSON on its standard input."""
    monkeypatch.setenv(COMMAND_VARIABLE, f"tee {tmp_path / 'said'}")
    notify("event", "text")
    assert json.loads((tmp_path / "said").read_text()) == {"event": "event", "text": "text"}


@pytest.mark.parametrize("variable", [URL_VARIABLE, COMMAND_VARIABLE])
def test_a_failed_delivery_names_no_address(
    variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An address that nobody answers, or a command that is not there, is a warning without the address."""
    monkeypatch.setenv(variable, f"http://127.0.0.1:9/{SECRET}" if variable == URL_VARIABLE else f"/no/{SECRET}")
    with caplog.at_level(logging.DEBUG):
        notify("event", "text")
    assert "was not delivered" in caplog.text
    assert SECRET not in caplog.text
