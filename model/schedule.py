"""The learning rate of each step: warm-up, then constant, cosine, or constant with a final decay (WSD)."""

import math

from ctllm.schemas.training_config import ScheduleConfig


def learning_rate(step: int, *, steps: int, peak: float, config: ScheduleConfig) -> float:
    """Rate of optimizer step `step` (from 0) of `steps`.

    Warm-up rises linearly and reaches the peak at step `warmup_steps - 1`. The last step has `peak * final_share`
    (cosine, wsd). WSD (arXiv 2404.06395) stays at the peak and falls linearly over the last `decay_share` of the steps.
    """
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    if config.kind == "constant":
        return peak
    num_decay = steps - config.warmup_steps
    if config.kind == "wsd":
        num_decay = min(num_decay, max(1, round(steps * config.decay_share)))
    done = max(0.0, min(1.0, (step - (steps - num_decay) + 1) / num_decay))
    fall = (1 - math.cos(math.pi * done)) / 2 if config.kind == "cosine" else done
    return peak * (1 - fall * (1 - config.final_share))
