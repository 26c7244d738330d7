"""Amounts of time as people write them."""

import pytest

from sinkd.amounts import amount


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("15", "minutes", 15),
        ("15m", "minutes", 15),
        ("15 MIN", "minute", 15),
        ("2 hours", "minutes", 120),
        ("1d", "minutes", 1440),
        ("10m", "seconds", 600),
        ("1_000", "seconds", 1000),
        ("1,000 s", "seconds", 1000),
        ("90.0", "seconds", 90),
    ],
)
def test_an_amount_is_said_in_the_unit_asked_for(text, unit, expected):
    assert amount(text, unit) == expected


@pytest.mark.parametrize("text", ["", "m", "90s", "1.5h", "-1", "15 fortnights", "1,00", "15m 3s"])
def test_what_is_no_whole_number_of_minutes_is_none(text):
    assert amount(text, "minutes") is None
