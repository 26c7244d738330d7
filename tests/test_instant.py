"""Instants and durations as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinkd.instant import duration_text, minute_text, parse_duration, parse_rfc3339, rfc3339

NINE = 1_795_424_400


def test_an_int_has_seconds_and_a_float_milliseconds():
    assert rfc3339(NINE) == "2026-11-23T09:00:00Z"
    assert rfc3339(float(NINE)) == "2026-11-23T09:00:00.000Z"
    assert rfc3339(NINE + 0.9999) == "2026-11-23T09:00:00.999Z"
    assert minute_text(NINE) == "2026-11-23T09:00Z"


@given(st.integers(0, 4_102_444_800))
def test_a_slot_survives_its_text(instant):
    again = parse_rfc3339(rfc3339(instant))
    assert again == instant
    assert isinstance(again, int)


@given(st.floats(0, 4_102_444_800))
def test_a_text_is_never_later_than_its_instant_nor_a_millisecond_earlier(instant):
    rounding = 1e-6  # of the text read back as a float
    assert -0.001 - rounding <= parse_rfc3339(rfc3339(instant)) - instant <= rounding


@given(st.floats(0, 4_102_444_800), st.floats(0, 10))
def test_later_instants_have_later_texts(instant, seconds):
    assert rfc3339(instant) <= rfc3339(instant + seconds)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T09:00:00Z", NINE),
        ("2026-11-23T10:00:00+01:00", NINE),
        ("2026-11-23T09:00:00.250Z", NINE + 0.25),
    ],
)
def test_an_instant_is_read_in_any_offset(text, instant):
    assert parse_rfc3339(text) == instant


@pytest.mark.parametrize("text", ["2026-11-23T09:00:00", "2026-11-23", "nine", ""])
def test_a_text_without_an_offset_is_no_instant(text):
    with pytest.raises(ValueError, match=r"offset|isoformat"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800), ("0s", 0)]
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "-5m", "1.5h", "2 h", "2H", "1h30m", "9" * 10 + "s", "٣m"]
)
def test_another_text_is_no_duration(text):
    with pytest.raises(ValueError, match="write a whole number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (140, "2 min 20 s"),
        (3600, "1 h"),
        (3630, "1 h"),
        (54_000, "15 h"),
        (86_400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
        (86_460, "1 d"),
    ],
)
def test_a_duration_for_people_has_two_units_at_most(seconds, text):
    assert duration_text(seconds) == text
