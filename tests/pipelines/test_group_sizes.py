"""How many copies there are, from a sample that met some."""

import numpy as np
import pytest

from ctllm.pipelines.group_sizes import copies_of_all

MIXTURES = {
    "copies": {6: 7000, 12: 300, 30: 100, 60: 30, 200: 10, 1: 200},
    "web": {1: 40_000, 2: 3000, 3: 500, 5: 200, 20: 30, 100: 5},
    "boilerplate": {1: 40_000, 2: 1000, 2000: 3},
}


def sample(mixture: dict[int, int], *, share: float, seed: int) -> np.ndarray:
    """How many groups of the mixture (size to number) were met once, twice, ..."""
    sizes = np.concatenate([np.full(number, size) for size, number in mixture.items()])
    return np.bincount(np.random.default_rng(seed).binomial(sizes, share))[1:]


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize(("share", "off"), [(0.1, 0.05), (0.03, 0.35)])
def test_copies_are_found_from_few_meetings(name: str, share: float, off: float) -> None:
    """A tenth of the documents tells the copies of all to a twentieth in the mean, a thirtieth to a third."""
    mixture = MIXTURES[name]
    copies = sum((size - 1) * number for size, number in mixture.items())
    found = [copies_of_all(sample(mixture, share=share, seed=seed), share=share) for seed in range(8)]
    assert np.mean([about for about, _, _ in found]) == pytest.approx(copies, rel=off)
    assert all(low <= about <= high for about, low, high in found)
    assert share < 0.1 or np.mean([low <= copies <= high for _, low, high in found]) >= 0.75


def test_without_a_meeting_there_may_be_copies() -> None:
    """None in the estimate; the interval says how many a sample of this size could have missed."""
    about, low, high = copies_of_all(np.array([1000]), share=0.05)
    assert (about, low) == (0.0, 0.0)
    assert 0.5 / 0.05**2 < high < 4 / 0.05**2


@pytest.mark.parametrize(("groups", "copies"), [([100, 0, 2], 4.0), ([7], 0.0), ([], 0.0)])
def test_everything_as_a_sample_is_exact(groups: list[int], copies: float) -> None:
    """Nothing is estimated when nothing is unmet."""
    assert copies_of_all(np.array(groups, int), share=1.0) == (copies, copies, copies)
