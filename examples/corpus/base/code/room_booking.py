"""Bookings for a rehearsal room: refuse clashes, and propose free gaps."""

from bisect import bisect_left
from typing import NamedTuple


class Booking(NamedTuple):
    start: int      # minutes after midnight
    end: int
    who: str


class Clash(Exception):
    def __init__(self, other):
        super().__init__(f"taken by {other.who} from {clock(other.start)} to {clock(other.end)}")


def clock(minutes):
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


class Room:
    def __init__(self, opens, closes):
        self.opens, self.closes = opens, closes
        self._plan = []     # always sorted and free of overlaps

    def book(self, start, end, who):
        if not self.opens <= start < end <= self.closes:
            raise ValueError("outside opening hours, or an empty span")
        at = bisect_left(self._plan, (start,))
        # As the plan is sorted, only the two direct neighbours can interfere.
        if at > 0 and self._plan[at - 1].end > start:
            raise Clash(self._plan[at - 1])
        if at < len(self._plan) and self._plan[at].start < end:
            raise Clash(self._plan[at])
        self._plan.insert(at, Booking(start, end, who))

    def gaps(self, at_least):
        """Yield every free (start, end) that lasts `at_least` minutes."""
        cursor = self.opens
        for booking in self._plan:
            if booking.start - cursor >= at_least:
                yield cursor, booking.start
            cursor = booking.end
        if self.closes - cursor >= at_least:
            yield cursor, self.closes


if __name__ == "__main__":
    studio = Room(opens=9 * 60, closes=22 * 60)
    studio.book(600, 690, "string quartet")
    studio.book(690, 780, "brass band")
    studio.book(1140, 1260, "theatre choir")
    try:
        studio.book(750, 840, "tap dancers")
    except Clash as problem:
        print("refused:", problem)
    for begin, finish in studio.gaps(at_least=90):
        print("free:", clock(begin), "to", clock(finish))
