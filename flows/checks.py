"""What a list of commands will read, looked at before the first of them runs: a mistake in the last costs no hours."""

from collections.abc import Iterable

from ctllm.flows.commands import Step
from ctllm.schemas.config import Config, read_config
from ctllm.schemas.curation_config import CurationConfig, DecontaminationConfig
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.evaluation_config import EvaluateConfig
from ctllm.schemas.training_config import PlanConfig, PretrainConfig, TokenizerConfig
from ctllm.schemas.tuning_config import DpoConfig, SftConfig

CONFIGS: dict[str, type[Config]] = {
    "curate": CurationConfig,
    "tokenizer": TokenizerConfig,
    "plan": PlanConfig,
    "pretrain": PretrainConfig,
    "sft": SftConfig,
    "dpo": DpoConfig,
    "evaluate": EvaluateConfig,
}
"""Command to what its config is."""


def check_configs(steps: Iterable[Step]) -> None:
    """Reads every config as its command will. Raises ConfigError naming file and key."""
    for step in steps:
        if step.config is not None:
            read_config(step.config, CONFIGS[step.command], overrides=step.settings)


def check_chat_files(config: EndToEndConfig) -> None:
    """Raises InputError for chat files or benchmarks that are not there."""
    from ctllm.pipelines.conversations import find_inputs
    from ctllm.pipelines.decontaminate.benchmark_files import benchmarks_digest

    for files in (config.conversations, config.preferences):
        find_inputs(files)
    benchmarks_digest(DecontaminationConfig(benchmarks=config.benchmarks))
