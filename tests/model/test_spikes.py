"""Gradient norms out of line."""

from ctllm.model.spikes import MIN_STEPS, WINDOW, SpikeDetector


def test_a_spike_is_above_so_many_medians() -> None:
    """At the limit it is none, just above it is; a spike is not among the norms before."""
    detector = SpikeDetector(4.0, norms=[0.5, 1.0, 1.0, 3.0] * 4)
    assert [detector.is_spike(norm) for norm in (4.0, 4.01, 1e9, 4.0)] == [False, True, True, False]
    many = SpikeDetector(4.0, norms=[1.0] * 17)
    assert all(many.is_spike(100.0) for _ in range(50))


def test_nothing_is_a_spike_without_a_limit_or_a_past() -> None:
    """The first norms have nothing to be compared with; the one after them has."""
    assert not SpikeDetector(None, norms=[1.0] * 100).is_spike(1e9)
    assert not SpikeDetector(2.0, norms=[1.0] * (MIN_STEPS - 1)).is_spike(1e9)
    assert SpikeDetector(2.0, norms=[1.0] * MIN_STEPS).is_spike(1e9)


def test_the_median_moves_with_the_run() -> None:
    """What lies further back than the window does not count."""
    assert SpikeDetector(2.0, norms=[9.0] * 1000 + [1.0] * WINDOW).is_spike(2.5)
    assert not SpikeDetector(2.0, norms=[9.0] * 1000 + [1.0] * (WINDOW // 2 - 1)).is_spike(2.5)
