"""Several stages as one Prefect flow: the whole way from raw sources to an exported model; the ratios of SFT."""

from pathlib import Path

from prefect import flow

from ctllm.flows import parameters
from ctllm.flows.artifacts import show_ratios
from ctllm.flows.checks import check_chat_files, check_configs
from ctllm.flows.language_ratios import draw_figure, ratio_steps
from ctllm.flows.stage import run_step
from ctllm.flows.steps import Workspace, steps
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.files import join
from ctllm.schemas.language_ratios_config import LanguageRatiosConfig


@flow(name="end-to-end", flow_run_name="end-to-end {workspace}")
def end_to_end(config: EndToEndConfig, workspace: parameters.Workspace = "runs/end-to-end") -> str:
    """Run all stages, one child process after the other. What is finished in `workspace` is not repeated."""
    todo = steps(config, Workspace(Path(workspace)))
    check_configs(todo)
    check_chat_files(config)
    for step in todo:
        run_step(step, logs=str(Path(workspace) / "logs"))
    return workspace


@flow(name="ratios", flow_run_name="ratios {config.out}")
def ratios(config: LanguageRatiosConfig) -> str:
    """Fine-tune one checkpoint on several ratios of Chinese to English, score all, draw the figure."""
    todo = list(ratio_steps(config))
    check_configs(todo)
    for step in todo:
        run_step(step, logs=join(config.out, "logs"))
    show_ratios(config, draw_figure(config))
    return config.out
