import pytest
from inline_snapshot import snapshot

from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.when import parse_time

NOW = parse_rfc3339("2026-11-23T22:30:40Z")


def parsed(text, zone="UTC", now=NOW):
    return [rfc3339(instant) for instant in parse_time(text, now, zone)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T01:00Z", "2026-11-23T01:00:00Z"),
        ("2026-11-23T01:00:30+01:00", "2026-11-23T00:00:30Z"),
        ("2026-11-23T09:00", "2026-11-23T09:00:00Z"),
        ("09:00", "2026-11-23T09:00:00Z"),
        ("-30m", "2026-11-23T22:00:40Z"),
        ("-2h", "2026-11-23T20:30:40Z"),
        ("-3d", "2026-11-20T22:30:40Z"),
    ],
)
def test_a_time_is_read(text, instant):
    assert parsed(text) == [instant]


def test_a_fraction_of_a_second_is_kept():
    assert parsed("2026-11-23T01:00:00.250Z") == ["2026-11-23T01:00:00.250Z"]


def test_a_local_time_is_read_in_the_zone():
    assert parsed("2026-07-01T09:00", "Europe/Paris") == ["2026-07-01T07:00:00Z"]


def test_today_is_the_date_of_the_zone():
    # 22:30Z on the 23rd is 07:30 on the 24th in Tokyo.
    assert parsed("09:00", "Asia/Tokyo") == ["2026-11-24T00:00:00Z"]
    assert parsed("09:00", "America/New_York") == ["2026-11-23T14:00:00Z"]


def test_a_local_time_that_comes_twice_has_two_instants():
    # Paris, 2026-10-25: 00:59Z is 02:59 (UTC+2), 01:00Z is 02:00 again (UTC+1).
    assert parsed("2026-10-25T02:30", "Europe/Paris") == [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
    ]


def test_a_local_time_that_is_skipped_has_the_instant_of_its_slot():
    # New York, 2026-03-08: 06:59Z is 01:59 (UTC-5), 07:00Z is 03:00 (UTC-4).
    assert parsed("2026-03-08T02:30", "America/New_York") == ["2026-03-08T07:30:00Z"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "now", "9:00", "24:00", "09:60", "2026-11-23", "2026-11-23 09:00"),
        *("2026-13-01T00:00", "2026-02-30T00:00", "2026-11-23T09:00:30", "-", "-2", "-2w", "--2h"),
        "0000-01-01T00:00",
    ],
)
def test_another_text_is_refused_with_what_can_be_written(text):
    with pytest.raises(ValueError, match="is not a time: write `2026-11-23T09:00Z`"):
        parse_time(text, NOW)


def test_the_refusal_names_the_text_and_the_zone():
    with pytest.raises(ValueError, match="9:00") as refused:
        parse_time("9:00", NOW, "Europe/Paris")
    assert str(refused.value) == snapshot(
        "`9:00` is not a time: write `2026-11-23T09:00Z`; `2026-11-23T09:00` or `09:00`, read as Europe/Paris; or `-30m`, `-2h`, `-3d`"
    )


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59", "3000-01-01T00:00Z", "0001-01-01T00:00", "-999999d"]
)
def test_a_time_outside_of_what_slots_are_computed_for_is_refused(text):
    with pytest.raises(ValueError, match="outside the years 1970 to 2999"):
        parse_time(text, NOW, "Asia/Tokyo")
