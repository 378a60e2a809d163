"""The command that opens the live dashboard over the runs below some directories."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ctllm.cli.console import console

Directories = Annotated[list[Path], typer.Argument(metavar="DIR...", help="directories that your runs lie in or below")]
Host = Annotated[str, typer.Option(help="address to listen on; beyond this machine only with a token")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="CTLLM_DASHBOARD_TOKEN", show_envvar=True, help="what a browser must give, 16 characters at least"
    ),
]
Open = Annotated[bool, typer.Option("--open", help="open it in the browser")]


def register(app: typer.Typer) -> None:
    """Adds the command of this module to the command line."""
    app.command()(dashboard)


def dashboard(
    directories: Directories,
    host: Host = "127.0.0.1",
    port: Port = 8050,
    token: Token = None,
    opened: Open = False,
) -> None:
    """Look at all runs below DIR in the browser: search, single documents, copies, other thresholds, trainings."""
    from ctllm.dashboards.compaction import cache_directory
    from ctllm.dashboards.server import serve

    def ready(url: str) -> None:
        console.print(f"dashboard  {url}", markup=False, soft_wrap=True)
        if opened:
            webbrowser.open(url)

    serve(directories, host=host, port=port, token=token, cache=cache_directory(), ready=ready)
