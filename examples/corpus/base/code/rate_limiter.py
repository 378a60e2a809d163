"""Token buckets, one per client, with a report on how long to wait."""

from dataclasses import dataclass


@dataclass
class Bucket:
    tokens: float
    touched: float


class RateLimiter:
    """Allow `burst` requests at once and `per_second` in the long run."""

    def __init__(self, per_second, burst):
        if per_second <= 0 or burst < 1:
            raise ValueError("rate must be positive and burst at least one")
        self.per_second = per_second
        self.burst = burst
        self._buckets = {}

    def ask(self, client, now, cost=1.0):
        """Return 0.0 when the request may proceed, else seconds to wait."""
        if cost > self.burst:
            raise ValueError("this request could never be granted")
        bucket = self._buckets.setdefault(client, Bucket(self.burst, now))

        # Refill lazily from the time that has passed. A clock that steps
        # backwards must not take tokens away, hence the max().
        elapsed = max(0.0, now - bucket.touched)
        bucket.tokens = min(self.burst, bucket.tokens + elapsed * self.per_second)
        bucket.touched = max(now, bucket.touched)

        if bucket.tokens >= cost:
            bucket.tokens -= cost
            return 0.0
        return (cost - bucket.tokens) / self.per_second

    def forget_idle(self, now):
        """Drop clients whose bucket would be full again; return how many."""
        full_after = self.burst / self.per_second
        idle = [c for c, b in self._buckets.items() if now - b.touched >= full_after]
        for client in idle:
            del self._buckets[client]
        return len(idle)


if __name__ == "__main__":
    limiter = RateLimiter(per_second=2, burst=3)
    for moment in (0.0, 0.0, 0.1, 0.1, 0.2, 0.9, 5.0):
        wait = limiter.ask("kiosk-7", moment)
        verdict = "granted" if wait == 0 else f"wait {wait:.2f} s"
        print(f"t={moment:>4} {verdict}")
    print("forgotten:", limiter.forget_idle(now=60.0))
