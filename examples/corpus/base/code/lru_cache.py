"""A least-recently-used cache whose entries may also grow too old to serve."""

import time
from collections import OrderedDict


class ExpiringLRU:
    """Keep at most `capacity` values; forget any that exceed `max_age` seconds."""

    def __init__(self, capacity, max_age=None, clock=time.monotonic):
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.max_age = max_age
        self._clock = clock
        self._slots = OrderedDict()  # key -> (value, stored_at), oldest use first
        self.hits = 0
        self.misses = 0

    def put(self, key, value):
        self._slots[key] = (value, self._clock())
        self._slots.move_to_end(key)
        while len(self._slots) > self.capacity:
            self._slots.popitem(last=False)

    def get(self, key, default=None):
        slot = self._slots.get(key)
        if slot is None or self._is_stale(slot):
            # A stale entry is dropped here, so no background sweeper is needed.
            self._slots.pop(key, None)
            self.misses += 1
            return default
        self._slots.move_to_end(key)
        self.hits += 1
        return slot[0]

    def _is_stale(self, slot):
        return self.max_age is not None and self._clock() - slot[1] > self.max_age

    def __len__(self):
        return len(self._slots)


def main():
    # A hand-cranked clock keeps the demonstration independent of real time.
    now = [0.0]
    cache = ExpiringLRU(capacity=2, max_age=10, clock=lambda: now[0])
    cache.put("tea", 80)
    cache.put("coffee", 92)
    assert cache.get("tea") == 80
    cache.put("cocoa", 70)               # evicts coffee, the least recently used
    assert cache.get("coffee") is None
    now[0] = 11.0
    assert cache.get("tea", "cold") == "cold"
    print(f"{cache.hits} hit(s), {cache.misses} miss(es), {len(cache)} left")


if __name__ == "__main__":
    main()
