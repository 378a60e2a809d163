"""The whole way as one Prefect flow: raw sources and chat files in, an aligned, evaluated and exported model out."""

from pathlib import Path

from prefect import flow

from ctllm.flows import parameters
from ctllm.flows.stage import run_step
from ctllm.flows.steps import Workspace, steps
from ctllm.schemas.end_to_end_config import EndToEndConfig


@flow(name="end-to-end", flow_run_name="end-to-end {workspace}")
def end_to_end(config: EndToEndConfig, workspace: parameters.Workspace = "runs/end-to-end") -> str:
    """Run all stages, one child process after the other. What is finished in `workspace` is not repeated."""
    for step in steps(config, Workspace(Path(workspace))):
        run_step(step, logs=str(Path(workspace) / "logs"))
    return workspace
