"""Learning-rate tables worked out by hand."""

import pytest

from ctllm.model.schedule import learning_rate
from ctllm.schemas.training_config import ScheduleConfig

TABLES = {
    "wsd": (
        ScheduleConfig(kind="wsd", warmup_steps=2, final_share=0.1, decay_share=0.3),
        [5, 10, 10, 10, 10, 10, 10, 7, 4, 1],
    ),
    "wsd to zero": (ScheduleConfig(kind="wsd", final_share=0, decay_share=0.5), [10, 10, 10, 10, 10, 8, 6, 4, 2, 0]),
    "cosine": (
        ScheduleConfig(kind="cosine", warmup_steps=2, final_share=0.2),
        [5, 10, 9.6955, 8.8284, 7.5307, 6, 4.4693, 3.1716, 2.3045, 2],
    ),
    "constant": (ScheduleConfig(kind="constant", warmup_steps=4), [2.5, 5, 7.5, 10, 10, 10, 10, 10, 10, 10]),
    "warm-up longer than the run": (ScheduleConfig(warmup_steps=20), [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]),
}


@pytest.mark.parametrize("name", TABLES)
def test_table_of_ten_steps(name: str) -> None:
    """Ten steps with peak 10, each rate as worked out by hand."""
    config, expected = TABLES[name]
    rates = [learning_rate(step, steps=10, peak=10.0, config=config) for step in range(10)]
    assert rates == pytest.approx(expected, abs=1e-4)
