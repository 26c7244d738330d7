"""Durations counted in steps of 2 %: close to the exact quantile, and equal after merging."""

from hypothesis import given
from hypothesis import strategies as st

from sinkd.histogram import Histogram

durations = st.lists(st.integers(0, 3_600_000), min_size=1)


def histogram(values):
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def test_an_empty_histogram_has_no_quantile():
    assert Histogram().quantile(0.5) is None


def test_one_duration_is_every_quantile_exactly():
    assert histogram([30_017]).quantile(0.5) == 30_017
    assert histogram([0]).quantile(0.95) == 0


def test_short_durations_are_exact():
    for value in range(50):
        assert histogram([0, value, 60_000]).quantile(0.5) == value


@given(durations, st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_quantile_is_within_a_percent_of_the_exact_one(values, share):
    exact = sorted(values)[max(0, -(-len(values) * round(share * 100) // 100) - 1)]
    tolerance = 0.0101 * exact + 0.51  # and the rounding to a whole millisecond
    assert abs(histogram(values).quantile(share) - exact) <= tolerance


@given(durations, st.lists(st.integers(0, 3_600_000)))
def test_merging_parts_equals_counting_the_whole(first, second):
    merged = histogram(first)
    merged.merge(histogram(second))
    assert merged == histogram(first + second)
