"""The limit on bytes per second."""

from ctllm.pipelines.fetch.rate import RateLimit


def test_bytes_are_paid_for_in_time() -> None:
    """At 100 bytes per second the second hundred waits for the first; time that passes unused is not saved up."""
    now, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    rate = RateLimit(100, clock=lambda: now[0], pause=pause)
    rate.take(100)
    rate.take(50)
    now[0] += 10
    rate.take(200)
    assert pauses == [1.0, 0.5, 2.0]


def test_no_limit_never_pauses() -> None:
    """Without a limit nothing waits."""
    pauses: list[float] = []
    RateLimit(None, pause=pauses.append).take(1 << 40)
    assert pauses == []
