"""Compiles the kernels before the first run: curates the example corpus once, which calls them all but a few."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = "configs/curation/demo.yaml"


def compile_kernels() -> int:
    """How many kernels were compiled now; they stay in numba's cache for later processes.

    About a minute on a machine that has none, ten seconds where all are there (2026-11-25, two cores).
    """
    from ctllm.examples.corpus.build import build_corpus
    from ctllm.pipelines.curate import curate
    from ctllm.pipelines.options import RunnerOptions
    from ctllm.schemas.config import read_config
    from ctllm.schemas.curation_config import CurationConfig

    with TemporaryDirectory() as directory:
        corpus, run = Path(directory, "corpus"), Path(directory, "run")
        build_corpus(corpus)
        config = read_config(CONFIG, CurationConfig)
        curate(config, inputs=[str(corpus)], out=str(run), options=RunnerOptions(workers=1))
    return _count_kernels()


def _count_kernels() -> int:
    """Kernels of this process that numba compiled because its cache had none."""
    from numba.core.dispatcher import Dispatcher

    modules = [module for name, module in sys.modules.items() if name.startswith("ctllm.")]
    kernels = {id(each): each for module in modules for each in vars(module).values() if isinstance(each, Dispatcher)}
    return sum(any(each.stats.cache_misses.values()) for each in kernels.values())
