"""What `ctllm conversations` removes beside what is broken: copies and benchmark items."""

from pydantic import Field

from ctllm.schemas.config import Config
from ctllm.schemas.curation_config import DecontaminationConfig, DedupConfig


class ConversationConfig(Config):
    """Texts are compared as they stand: in a chat an operator or a digit may be all the difference."""

    near: bool = Field(True, description="near copies are removed too; of pairs only equal ones are, see `dedup`")
    threshold: float = Field(
        0.9, gt=0, lt=1, description="Jaccard of character 5-grams at and above which two conversations are copies"
    )  # chosen: at documents' 0.8 two questions on one passage are often one
    benchmarks: tuple[str, ...] = Field((), description="files, globs or directories of benchmark items, as curation's")
    max_benchmark_overlap: float = Field(
        0.8, gt=0, le=1, description="a record that holds a larger share of an item's n-grams is removed"
    )  # as the rule of documents

    def dedup(self, *, answers_vary: bool) -> DedupConfig:
        """For the common dedup; where `answers_vary` (pairs: one prompt, one chosen, several rejected) only exact."""
        return DedupConfig(
            near=self.near and not answers_vary, threshold=self.threshold, form="verbatim", survivor_order=("key",)
        )

    @property
    def decontamination(self) -> DecontaminationConfig:
        """For the common benchmark index."""
        return DecontaminationConfig(benchmarks=self.benchmarks)
