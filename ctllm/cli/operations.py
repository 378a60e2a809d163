"""Commands around the work: setup, doctor, the local Prefect server's up and down, deploy to another server."""

import os
import time
from typing import Annotated, Literal

import typer

from ctllm.cli.console import console, print_table
from ctllm.schemas.errors import ConfigError, MissingPartError

Kernels = Annotated[bool, typer.Option(help="compile them now by curating the example corpus, not in the first run")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="where the server listens, on 127.0.0.1 only")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (setup, doctor, up, down, deploy):
        app.command()(command)


def setup(kernels: Kernels = True) -> None:
    """Bring what the package cannot carry: the language identification model and, compiled here, the kernels."""
    from ctllm.cli.kernels import compile_kernels
    from ctllm.pipelines.language_model import install_language_model

    console.print(f"language model: {install_language_model()}", markup=False)
    if kernels:
        console.print("kernels: compiling, about a minute the first time …", markup=False)
        started = time.monotonic()
        compiled = compile_kernels()
        console.print(f"kernels: {compiled} compiled, {time.monotonic() - started:.0f} s", markup=False)


def doctor() -> None:
    """Show what is installed, what is missing, and which runners and devices work here."""
    from ctllm.cli.inspection import MISSING, inspect_all

    findings = inspect_all()
    print_table(
        "ctllm doctor", ["part", "state", "detail"], [[each.part, each.state, each.detail] for each in findings]
    )
    missing = [each.part for each in findings if each.state == MISSING]
    if missing:
        raise MissingPartError(f"missing: {', '.join(missing)}; the table says what brings each")


def up(port: Port = 4200) -> None:
    """Start a local Prefect server, its worker and the deployments in the background; again changes nothing."""
    from ctllm.flows.local_server import LocalServer, default_home, start

    server = LocalServer(default_home(), port=port)
    start(server, say=lambda line: console.print(line, markup=False))
    console.print(f"\nopen   {server.url}", markup=False)
    console.print(f"shell  export PREFECT_API_URL={server.api_url}", markup=False)
    console.print("run    prefect deployment run end-to-end/local", markup=False)
    console.print("look   ctllm dashboard DIR      every run below DIR, while it goes", markup=False)
    console.print(f"stop   ctllm down      logs and database: {server.home}", markup=False)


def down() -> None:
    """Stop the local Prefect server and its worker, and every flow that still runs."""
    from ctllm.flows.local_server import default_home, stop

    home = default_home()
    stopped = stop(home)
    console.print(f"stopped: {', '.join(stopped)}" if stopped else f"nothing was running for {home}", markup=False)


def deploy(
    pool: Annotated[
        Literal["process", "docker", "kubernetes"],
        typer.Option(help="where flow runs are started; another pool than before: the deployments move there"),
    ] = "process",
    image: Annotated[
        str | None, typer.Option(help="of docker and kubernetes runs, in the place of the one in docker/pools/")
    ] = None,
) -> None:
    """Tell the Prefect server at PREFECT_API_URL what it needs: pool, slot of the trainers, deployments."""
    from ctllm.flows.registration import find_project, register

    if not os.environ.get("PREFECT_API_URL"):
        raise ConfigError("PREFECT_API_URL: not set; it names the server, for example http://127.0.0.1:4200/api")
    project = find_project()
    environment = {**os.environ, "PWD": str(project)}
    register(
        project, environment=environment, say=lambda line: console.print(line, markup=False), pool=pool, image=image
    )
