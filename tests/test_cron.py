"""Cron expressions, and the schedule that means the same."""

import re

import pytest

from sinkd import cron

WEEK = ["mon", "tue", "wed", "thu", "fri"]


def every(interval: int, start: int = 0) -> dict[str, object]:
    return {"interval_minutes": interval, "start_minute": start}


@pytest.mark.parametrize(
    ("expression", "schedule"),
    [
        ("* * * * *", every(1)), ("*/15 * * * *", every(15)),
        ("5-59/15 * * * *", every(15, 5)), ("0,30 * * * *", every(30)), ("7 * * * *", every(60, 7)),
        ("@hourly", every(60)), ("30 */2 * * *", every(120, 30)), ("0 0,12 * * *", every(720)),
        ("0 1-23/2 * * *", {"at": [f"{hour:02}:00" for hour in range(1, 24, 2)]}),
        ("0 9 * * *", {"at": "09:00"}), ("@daily", {"at": "00:00"}),
        ("0 9 * * 1-5", {"at": "09:00", "days": WEEK}), ("0 9 * * MON-FRI", {"at": "09:00", "days": WEEK}),
        ("0 9 * * 0", {"at": "09:00", "days": ["sun"]}), ("0 9 * * 7", {"at": "09:00", "days": ["sun"]}),
        ("0 9 ? * *", {"at": "09:00"}), ("@weekly", {"at": "00:00", "days": ["sun"]}),
        ("30 8,17 * * *", {"at": ["08:30", "17:30"]}),
        ("*/30 9-10 * * 6", {"at": ["09:00", "09:30", "10:00", "10:30"], "days": ["sat"]}),
        ("*/45 9 * * *", {"at": ["09:00", "09:45"]}), ("59 23 * * *", {"at": "23:59"}),
    ],
)  # fmt: skip
def test_an_expression_becomes_the_schedule_of_the_same_times(expression, schedule):
    assert cron.schedule(expression) == schedule


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 1 * *", "days of the month"), ("0 0 * 6 *", "days of the month"),
        ("*/7 * * * *", "more than 100 times"), ("*/5 9-17 * * *", "more than 100 times"),
        ("0 0 0 * * *", "no seconds"), ("", "five fields"), ("often", "five fields"),
        ("60 * * * *", "not a number 0 to 59"),
        ("* 24 * * *", "not a number 0 to 23"), ("x * * * *", "not a number"),
        ("1..5 * * * *", "no field"), ("5-1 * * * *", "stands for nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_says_why(expression, reason):
    with pytest.raises(ValueError, match=reason):
        cron.schedule(expression)


@pytest.mark.parametrize(
    ("expression", "zone", "schedule"),
    [
        ("*/15 * * * *", "Asia/Kolkata", every(15)),
        ("15 * * * *", "Asia/Kolkata", every(60, 45)),
        ("30 * * * *", "Europe/Berlin", every(60, 30)),
        ("0 */3 * * *", "Asia/Tokyo", every(180)),
        ("0 */12 * * *", "Asia/Tokyo", {"at": ["00:00", "12:00"]}),
        ("0 */12 * * *", "Europe/Berlin", {"at": ["00:00", "12:00"]}),
        ("*/30 * * * *", "Australia/Lord_Howe", every(30)),
        ("0 * * * *", "Australia/Lord_Howe", {"at": [f"{hour:02}:00" for hour in range(24)]}),
    ],
)
def test_an_interval_is_one_only_where_it_is_the_same_grid_in_utc(expression, zone, schedule):
    assert cron.schedule(expression, zone) == schedule


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 9 * * fri-sun", ["fri", "sat", "sun"]), ("0 9 * * Sun-Mon", ["mon", "sun"]),
        ("0 9 */1 jan-dec 1", ["mon"]), ("0 9 1-31 1-12 */2", ["tue", "thu", "sat", "sun"]),
    ],
)  # fmt: skip
def test_names_and_fields_that_restrict_nothing_are_understood(expression, days):
    assert cron.schedule(expression) == {"at": "09:00", "days": days}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("5/15 * * * *", "`5/15` means 5 to one cron, `5-59/15` to another"),
        ("*/0 * * * *", "`*/0` has a step of 0"), ("@reboot", "nothing is due because"),
        ("@monthly", "days of the month"), ("@yearly", "days of the month"),
        ("0 9 1-31 * 1", "days of the month"), ("\x1b * * * *", "printable ASCII"),
        ("9999999999 * * * *", "no field"), ("sun1 * * * *", "not a number"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_or_never_due_says_why(expression, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        cron.schedule(expression)
