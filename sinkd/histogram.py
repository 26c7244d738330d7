"""Counts durations in fixed log-spaced steps of 2 %, so that histograms of parts can be merged.

Every p50 and p95 is read from one (L7): the figure of merged histograms equals the figure of the
whole, and it is within 1 % of the exact one, but for the rounding to a whole millisecond.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_STEP: Final = math.log(1.02)


@dataclass(slots=True)
class Histogram:
    """Durations in milliseconds, as counts by bucket; the least and the most are exact."""

    counts: Counter[int] = field(default_factory=Counter)
    least: int | None = None
    most: int | None = None

    def add(self, duration_ms: int) -> None:
        """Count one duration."""
        self.counts[_bucket(duration_ms)] += 1
        self._widen(duration_ms, duration_ms)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram to this one."""
        self.counts.update(other.counts)
        if other.least is not None and other.most is not None:
            self._widen(other.least, other.most)

    def quantile(self, share: float) -> int | None:
        """Return the duration that this share of all durations does not exceed, None for none."""
        if self.least is None or self.most is None:
            return None
        rank = max(1, math.ceil(share * self.counts.total()))
        for bucket in sorted(self.counts):
            rank -= self.counts[bucket]
            if rank <= 0:
                return min(max(_duration_ms(bucket), self.least), self.most)
        return self.most

    def _widen(self, least: int, most: int) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)


def _bucket(duration_ms: int) -> int:
    """Return the number of steps from 1 ms to the duration, -1 for less than 1 ms."""
    return round(math.log(duration_ms) / _STEP) if duration_ms >= 1 else -1


def _duration_ms(bucket: int) -> int:
    return round(math.exp(bucket * _STEP)) if bucket >= 0 else 0
