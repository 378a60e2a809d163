"""How many copies there are, from a sample that met some."""

import numpy as np
import pytest

from ctllm.pipelines.group_sizes import copies_of_all, pairs_of_all

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


@pytest.mark.parametrize("name", ["copies", "web"])
@pytest.mark.parametrize("share", [0.1, 0.03])
def test_pairs_are_found_from_the_partners_met(name: str, share: float) -> None:
    """The mean of 40 samples is the number of pairs, to a tenth: whatever the sizes of groups, none is asked for."""
    found = [_pairs_of(sample(MIXTURES[name], share=share, seed=seed), share=share) for seed in range(40)]
    pairs = sum(size * (size - 1) / 2 * number for size, number in MIXTURES[name].items())
    assert np.mean(found) == pytest.approx(pairs, rel=0.1)


def test_boilerplate_is_not_compared_with_itself() -> None:
    """Of a group of 2,000, above `max_bucket`, each is compared with one: 2,000 pairs and not two million."""
    met = sample({2000: 1}, share=0.1, seed=0)
    assert _pairs_of(met, share=0.1, max_bucket=1000) == pytest.approx(2000, rel=0.2)
    assert _pairs_of(met, share=0.1, max_bucket=3000) == pytest.approx(2_000_000, rel=0.3)


def _pairs_of(groups_M: np.ndarray, *, share: float, max_bucket: int = 1000) -> float:
    """`pairs_of_all` where every member of a group lies in another piece."""
    sizes = np.repeat(np.arange(1, len(groups_M) + 1), groups_M)
    partners = np.repeat(sizes - 1, sizes)
    return pairs_of_all(np.zeros(len(partners)), partners, share=share, max_bucket=max_bucket)
