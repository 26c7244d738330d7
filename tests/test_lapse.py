"""Which of the three clocks ran ahead tells why nobody was there (T6)."""

import pytest

from sinkd.lapse import Lapse, Reading, lapse

BEFORE = Reading(wall=1000.0, monotonic=50.0, boottime=70.0)


def after(wall, monotonic, boottime):
    return Reading(1000 + wall, 50 + monotonic, 70 + boottime)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (after(1, 1, 1), Lapse()),
        (after(1.9, 1, 1), Lapse()),  # slewing
        (after(601, 1, 601), Lapse(suspended=600)),
        (after(601, 1, 1), Lapse(stepped=600)),
        (after(-599, 1, 1), Lapse(stepped=-600)),
        (after(6, 6, 6), Lapse()),
        (after(7, 7, 7), Lapse(stalled=7)),
        (after(1007, 7, 607), Lapse(suspended=600, stepped=400, stalled=7)),
    ],
)
def test_a_lapse_is_told_by_the_clock_that_ran_ahead(now, expected):
    assert lapse(BEFORE, now, nap_seconds=1) == expected


def test_a_long_nap_that_was_meant_is_no_stall():
    assert lapse(BEFORE, after(60, 60, 60), nap_seconds=60) == Lapse()


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (Lapse(suspended=9, stepped=9, stalled=9), "suspended"),
        (Lapse(stepped=9, stalled=9), "clock_step"),
        (Lapse(stepped=-9, stalled=9), "stalled"),
        (Lapse(stalled=9), "stalled"),
        (Lapse(), "stalled"),
    ],
)
def test_the_cause_of_a_miss_follows_from_the_lapse(what, cause):
    assert what.cause == cause
