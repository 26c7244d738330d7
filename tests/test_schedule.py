import csv
import json
import os
import random
import shutil
import subprocess
import sys
import zoneinfo
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tzdata import IANA_VERSION

from sinkd import schedule
from sinkd.instant import DAY, MINUTE, parse_rfc3339, rfc3339
from sinkd.schedule import (
    count,
    describe,
    fingerprint,
    latest_slot,
    longest_gap_seconds,
    next_slot,
    parse_fingerprint,
    runs_per_day,
    slots,
)
from sinkd.spec import WEEKDAYS, Daily, Interval

GOLDEN = Path(__file__).parent / "golden"
NOW = parse_rfc3339("2026-11-23T10:02:40Z")
SECONDS = float(os.environ.get("SINKD_PROPERTY_SECONDS", "3"))  # for all properties together


def rows(name):
    with (GOLDEN / name).open(encoding="ascii") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def instants(*texts):
    return [parse_rfc3339(text) for text in texts]


def texts(schedule, after, through):
    return [rfc3339(slot) for slot in slots(schedule, *instants(after, through))]


@pytest.fixture(params=["bundled", "system"])
def rules(request):
    """Use one of the two copies of the zone rules, whichever is newer, and undo it."""
    schedule.tzdata()
    zoneinfo.reset_tzpath(to=[] if request.param == "bundled" else None)
    schedule.forget_zones()
    if request.param == "system" and not any(Path(path).is_dir() for path in zoneinfo.TZPATH):
        pytest.skip("this machine has no zone rules of its own")
    yield request.param
    schedule.use_newest_tzdata()


# Golden tables


@pytest.mark.parametrize("row", rows("daily.tsv"), ids=lambda row: "-".join(list(row.values())[:3]))
@pytest.mark.usefixtures("rules")
def test_a_local_time_is_the_golden_instant(row):
    slot, date = parse_rfc3339(row["expected_utc"]), row["local_date"]
    when = Daily((row["at"],), row["zone"])
    on_that_day = Daily(when.at, when.timezone, (WEEKDAYS[datetime.fromisoformat(date).weekday()],))
    for each in (when, on_that_day):
        assert next_slot(each, slot - 1) == slot
        assert latest_slot(each, slot) == slot
        assert count(each, slot - 1, slot) == 1
    assert schedule.local_time(slot, row["zone"]).strftime("%H:%M") == row["effective_local"]


@pytest.mark.parametrize(
    "row", rows("interval.tsv"), ids=lambda row: "-".join(list(row.values())[:3])
)
def test_an_interval_has_the_golden_slots(row):
    when = Interval(int(row["interval_minutes"]), int(row["start_minute"]))
    before = parse_rfc3339(row["from_utc(inclusive)"]) - 1
    expected = instants(*row["first_8_slots"].split())
    assert list(slots(when, before, expected[-1])) == expected
    assert count(when, before, expected[-1]) == len(expected)


def pythons():
    """Find the other Pythons on PATH and of pyenv, the first of each version."""
    for version in ("3.11", "3.12", "3.13", "3.14"):
        kept = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
        on_path = shutil.which(f"python{version}")
        found = [*sorted(map(str, kept)), *([on_path] if on_path else [])]
        if not sys.version.startswith(f"{version}.") and found:
            yield pytest.param(found[0], id=version)


GOLDEN_ROWS = """
import json, sys, zoneinfo
from sinkd import schedule
from sinkd.spec import Daily
schedule.tzdata()
zoneinfo.reset_tzpath(to=[] if sys.argv[1] == "bundled" else None)
schedule.forget_zones()
for at, zone, slot in json.load(sys.stdin):
    assert schedule.next_slot(Daily((at,), zone), slot - 1) == slot, (at, zone, slot)
    assert schedule.latest_slot(Daily((at,), zone), slot) == slot, (at, zone, slot)
print(sys.version)
"""


@pytest.mark.parametrize("copy", ["bundled", "system"])
@pytest.mark.parametrize("python", list(pythons()))
def test_the_golden_instants_are_those_of_every_python_here(python, copy, tmp_path):
    (tmp_path / "tzdata").symlink_to(sys.modules["tzdata"].__path__[0])
    golden = [
        [row["at"], row["zone"], parse_rfc3339(row["expected_utc"])] for row in rows("daily.tsv")
    ]
    done = subprocess.run(
        [python, "-c", GOLDEN_ROWS, copy],
        env={"PYTHONPATH": f"{tmp_path}:{Path(schedule.__file__).parents[1]}"},
        input=json.dumps(golden),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 127:
        pytest.skip("pyenv only pretends to have it")
    assert not done.returncode, done.stderr


# Transitions, each with the table of what the clocks show


def test_a_gap_moves_the_slot_forward_by_its_length_and_onto_a_listed_time():
    # New York, 2026-03-08: 06:59Z is 01:59 (UTC-5), 07:00Z is 03:00 (UTC-4).
    #   02:30 -> 03:30 -> 07:30Z     02:45 -> 03:45 -> 07:45Z     03:00 -> 07:00Z
    day = "2026-03-08T00:00Z", "2026-03-09T00:00Z"
    assert texts(Daily(("02:30", "03:30"), "America/New_York"), *day) == ["2026-03-08T07:30:00Z"]
    assert texts(Daily(("02:45", "03:00"), "America/New_York"), *day) == [
        "2026-03-08T07:00:00Z",
        "2026-03-08T07:45:00Z",
    ]


def test_a_fold_has_one_slot_at_its_first_occurrence():
    # Paris, 2026-10-25: 00:59Z is 02:59 (UTC+2), 01:00Z is 02:00 again (UTC+1).
    assert texts(Daily(("02:30",), "Europe/Paris"), "2026-10-24T12:00Z", "2026-10-26T00:00Z") == [
        "2026-10-25T00:30:00Z"
    ]


def test_a_day_with_a_gap_is_an_hour_shorter_between_its_slots():
    # Paris: 09:00 is 08:00Z on 2026-03-28 (UTC+1) and 07:00Z on 2026-03-29 (UTC+2).
    first, second = slots(
        Daily(("09:00",), "Europe/Paris"), *instants("2026-03-28T00:00Z", "2026-03-30T00:00Z")
    )
    assert second - first == 23 * 3600


@pytest.mark.parametrize(
    ("zone", "slot"),
    [
        # Apia: 2011-12-30T09:59Z is the 29th 23:59 (UTC-10), 10:00Z is the 31st 00:00 (UTC+14).
        ("Pacific/Apia", "2011-12-30T19:00:00Z"),
        # Kwajalein: 1993-08-21T11:59Z is the 20th 23:59 (UTC-12), 12:00Z is the 22nd 00:00 (UTC+12).
        ("Pacific/Kwajalein", "1993-08-21T21:00:00Z"),
    ],
)
@pytest.mark.usefixtures("rules")
def test_a_skipped_date_shares_its_instant_with_the_date_after(zone, slot):
    when, expected = Daily(("09:00",), zone), parse_rfc3339(slot)
    around = [expected + hours * 3600 for hours in (-24, 0, 24)]
    assert list(slots(when, around[0] - 1, around[2])) == around
    assert count(when, around[0] - 1, around[2]) == 3
    assert latest_slot(when, expected + 60) == expected


def test_the_nominal_date_decides_about_the_weekday():
    # 2026-11-22 is a Sunday; Monday 00:30 in Auckland (UTC+13) is Sunday 11:30Z. In Nuuk the gap of
    # Saturday 2026-03-28 23:30 ends on Sunday.
    monday = Daily(("00:30",), "Pacific/Auckland", ("mon",))
    assert texts(monday, "2026-11-21T00:00Z", "2026-11-28T00:00Z") == ["2026-11-22T11:30:00Z"]
    saturday = Daily(("23:30",), "America/Nuuk", ("sat",))
    assert texts(saturday, "2026-03-28T12:00Z", "2026-03-30T00:00Z") == ["2026-03-29T01:30:00Z"]


def test_a_slot_of_tomorrow_may_lie_behind_when_a_zone_turns_back_over_midnight():
    # St John's, 2010-11-07: 02:30Z is 00:00 (UTC-2:30), 02:31Z is 23:01 on the 6th (UTC-3:30).
    sunday = Daily(("00:00",), "America/St_Johns", ("sun",))
    slot, at, following = instants("2010-11-07T02:30Z", "2010-11-07T02:40Z", "2010-11-14T03:30Z")
    assert latest_slot(sunday, at) == slot
    assert next_slot(sunday, at) == following
    assert count(sunday, slot - 1, at) == 1


def test_a_slot_of_yesterday_may_lie_ahead_when_a_gap_moves_it_over_midnight():
    # Nuuk, 2026-03-29: 00:59Z is 22:59 on the 28th (UTC-2), 01:00Z is 00:00 (UTC-1).
    saturday = Daily(("23:30",), "America/Nuuk", ("sat",))
    before, at, slot = instants("2026-03-22T01:30Z", "2026-03-29T01:10Z", "2026-03-29T01:30Z")
    assert latest_slot(saturday, at) == before
    assert next_slot(saturday, at) == slot
    assert count(saturday, at, slot) == 1


def test_intervals_do_not_know_that_clocks_change():
    steps = list(slots(Interval(30, 0), *instants("2026-10-24T12:00Z", "2026-10-25T12:00Z")))
    assert len(steps) == 48
    assert {later - earlier for earlier, later in pairwise(steps)} == {1800}


# The edges of the interface


def test_an_instant_on_a_slot_is_its_latest_and_before_its_next():
    for when in (Interval(15, 5), Daily(("10:05",), "UTC")):
        slot = parse_rfc3339("2026-11-23T10:05Z")
        assert latest_slot(when, slot) == slot
        assert next_slot(when, slot) > slot
        assert next_slot(when, slot - 0.001) == slot
        assert latest_slot(when, slot + 59.999) == slot
        assert latest_slot(when, slot - 0.001) < slot
        assert count(when, slot, slot) == 0
        assert count(when, slot - 0.5, slot) == 1


@pytest.mark.parametrize("when", [Interval(1), Daily(("10:00",), "UTC")])
def test_nothing_lies_in_a_span_that_ends_before_it_begins(when):
    assert count(when, NOW, NOW - 30 * DAY) == 0
    assert list(slots(when, NOW, NOW - 30 * DAY)) == []


def test_thirty_days_of_a_one_minute_job_are_counted_without_being_listed():
    assert count(Interval(1), NOW, NOW + 30 * DAY) == 43_200
    assert count(Interval(1), 0, 10**15) == 10**15 // MINUTE


def test_slots_without_an_end_go_on():
    endless = slots(Daily(("09:00",), "UTC", ("mon",)), NOW)
    assert [next(endless) for _ in range(3)] == instants(
        "2026-11-30T09:00Z", "2026-12-07T09:00Z", "2026-12-14T09:00Z"
    )


def test_runs_per_day_are_those_of_a_week():
    assert runs_per_day(Interval(7), NOW) == pytest.approx(1440 / 7, abs=0.2)
    assert runs_per_day(Daily(("09:00",), "UTC", WEEKDAYS[:5]), NOW) == 5 / 7


def test_the_longest_gap_of_a_weekday_job_is_its_weekend():
    assert longest_gap_seconds(Daily(("09:00",), "UTC", WEEKDAYS[:5]), NOW) == 3 * DAY
    assert longest_gap_seconds(Daily(("09:00", "12:00"), "UTC"), NOW) == 21 * 3600
    assert longest_gap_seconds(Daily(("09:00",), "UTC", ("mon",)), NOW, days=1) == 7 * DAY
    assert longest_gap_seconds(Interval(90), NOW) == 5400


def test_the_longest_gap_knows_that_clocks_are_set_back():
    before = parse_rfc3339("2026-10-20T00:00Z")
    assert longest_gap_seconds(Daily(("09:00",), "Europe/Paris"), before) == 25 * 3600


def test_a_slot_lies_on_a_whole_minute_even_where_offsets_had_seconds():
    # Monrovia kept UTC-0:44:30 until 1972.
    slot = next_slot(Daily(("09:00",), "Africa/Monrovia"), parse_rfc3339("1971-06-01T00:00Z"))
    assert rfc3339(slot) == "1971-06-01T09:44:00Z"


# Texts


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (Interval(1), "every minute"),
        (Interval(5), "every 5 min from :00"),
        (Interval(7, 3), "every 7 min"),
        (Interval(10, 9), "every 10 min from :09"),
        (Interval(15, 50), "every 15 min at :05 :20 :35 :50"),
        (Interval(30, 5), "every 30 min at :05 :35"),
        (Interval(50), "every 50 min"),
        (Interval(60), "hourly at :00"),
        (Interval(60, 59), "hourly at :59"),
        (Interval(90, 10), "every 90 min from 00:10 UTC"),
        (Interval(240, 30), "every 4 h at :30"),
        (Interval(1440, 10), "daily at 00:10 UTC"),
        (Daily(("01:30",), "UTC"), "daily at 01:30 UTC"),
        (
            Daily(("09:00",), "America/New_York", WEEKDAYS[:5]),
            "Mon-Fri at 09:00 America/New_York",
        ),
        (Daily(("09:00", "17:30"), "UTC", ("sat", "sun")), "Sat Sun at 09:00 17:30 UTC"),
        (Daily(("09:00",), "UTC", ("mon", "wed", "fri")), "Mon Wed Fri at 09:00 UTC"),
        (
            Daily(tuple(f"{hour:02}:00" for hour in range(8, 20)), "UTC"),
            "daily at 08:00 09:00 … 19:00 (12 times) UTC",
        ),
    ],
)
def test_a_schedule_is_described_in_words(when, words):
    assert describe(when) == words


def test_people_think_of_an_interval_in_utc_and_of_local_times_in_their_zone():
    assert schedule.zone_of(Interval(15)) == "UTC"
    assert schedule.zone_of(Daily(("09:00",), "Europe/Paris")) == "Europe/Paris"


def test_the_fingerprint_is_short_and_readable():
    assert fingerprint(Interval(15, 5)) == "15/5"
    assert (
        fingerprint(Daily(("09:00", "17:30"), "Europe/Paris", ("mon", "fri")))
        == "09:00,17:30 mon,fri Europe/Paris"
    )


def test_equal_slots_of_an_interval_have_one_fingerprint():
    assert fingerprint(Interval(15, 50)) == fingerprint(Interval(15, 5))
    assert fingerprint(Interval(15, 50)) != fingerprint(Interval(15, 51))


@pytest.mark.parametrize("text", ["", "15", "15/5/1", "a/b", "09:00 mon", "09:00 mon Europe Paris"])
def test_a_text_that_is_no_fingerprint_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the reader of the journal names the line
        parse_fingerprint(text)


# Zones and their rules


def test_names_that_are_no_place_are_no_zones():
    names = schedule.zone_names()
    assert {"Europe/Paris", "UTC", "America/Argentina/Buenos_Aires", "EST"} <= names
    assert not {"localtime", "Factory", "posixrules", "europe/paris", "UTC "} & names
    assert not [name for name in names if name.startswith(("posix/", "right/", "/", "."))]


@pytest.mark.usefixtures("rules")
def test_both_copies_of_the_rules_name_the_same_zones():
    assert len(schedule.zone_names()) == 597


@pytest.mark.parametrize("name", ["EST", "CET", "MST7MDT", "EST5EDT", "Etc/GMT+5", "HST", "WET"])
def test_an_abbreviation_is_told_from_a_place(name):
    assert schedule.is_abbreviation_zone(name)


def test_a_place_or_utc_is_no_abbreviation():
    assert not [
        name
        for name in schedule.zone_names()
        if schedule.is_abbreviation_zone(name) and "/" in name and not name.startswith("Etc/GMT")
    ]
    assert not any(map(schedule.is_abbreviation_zone, ("UTC", "Etc/UTC", "GMT", "PRC", "GB")))


@pytest.fixture
def system_rules(tmp_path, monkeypatch):
    """Make a system copy of the rules in which Paris keeps the time of Tokyo."""
    paris = tmp_path / "Europe" / "Paris"
    paris.parent.mkdir()
    paris.write_bytes(
        (Path(sys.modules["tzdata"].__path__[0]) / "zoneinfo/Asia/Tokyo").read_bytes()
    )
    monkeypatch.setenv("PYTHONTZPATH", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()
    schedule.use_newest_tzdata()


def paris_at_nine():
    return texts(Daily(("09:00",), "Europe/Paris"), "2026-11-23T00:00Z", "2026-11-24T00:00Z")


IN_PARIS, IN_TOKYO = ["2026-11-23T08:00:00Z"], ["2026-11-24T00:00:00Z"]


@pytest.mark.parametrize(
    ("name", "content", "chosen"),
    [
        ("tzdata.zi", "# version 2099a\n# more\n", "system"),
        ("+VERSION", "2099a\n", "system"),
        ("version", "2099b", "system"),
        ("tzdata.zi", "# version 2019c\n", "bundled"),
        ("tzdata.zi", f"# version {IANA_VERSION}\n", "bundled"),
        ("tzdata.zi", "# redo this\n", "bundled"),
        ("+VERSION", "9999\n", "bundled"),
        ("readme", "2099a\n", "bundled"),
    ],
)
def test_the_newer_rules_are_used_and_those_without_a_version_lose(
    system_rules, name, content, chosen
):
    assert paris_at_nine() == IN_PARIS
    (system_rules / name).write_text(content, encoding="ascii")
    used = schedule.use_newest_tzdata()
    assert used.source == chosen
    assert used.version == (
        IANA_VERSION if chosen == "bundled" else content.split()[-3 if "more" in content else -1]
    )
    assert paris_at_nine() == (IN_TOKYO if chosen == "system" else IN_PARIS)


def test_a_zone_that_newer_system_rules_lack_is_the_bundled_one(system_rules):
    (system_rules / "+VERSION").write_text("2099a", encoding="ascii")
    schedule.use_newest_tzdata()
    assert (
        texts(Daily(("09:00",), "Asia/Tokyo"), "2026-11-23T00:00Z", "2026-11-24T00:00Z") == IN_TOKYO
    )


def test_without_system_rules_the_bundled_ones_are_used(monkeypatch):
    monkeypatch.setenv("PYTHONTZPATH", "")
    assert schedule.use_newest_tzdata() == schedule.TzData(IANA_VERSION, "bundled")
    monkeypatch.undo()
    schedule.use_newest_tzdata()


def test_the_first_zone_that_is_asked_for_chooses_the_rules(system_rules):
    assert (system_rules / "Europe/Paris").exists()  # stale: it names no version
    nine = "Daily(('09:00',), 'Europe/Paris')"
    code = (
        f"from sinkd.schedule import *; from sinkd.spec import *; print(next_slot({nine}, {NOW}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert int(done.stdout) == parse_rfc3339("2026-11-24T08:00Z")


def test_rules_age_by_their_version():
    spring, autumn = instants("2026-04-05T00:00Z", "2027-06-01T00:00Z")
    assert schedule.TzData("2026b", "system").age_days(spring) == 4
    assert schedule.TzData("2026b", "system").age_days(autumn) == 426
    assert schedule.TzData("2026f", "bundled").age_days(NOW) == 0
    assert schedule.TzData("2025z", "bundled").age_days(NOW) == 357


PRINT_SLOTS = """
import json, sys
from sinkd.schedule import *
from sinkd.spec import *
cases = [Interval(7, 3), Interval(1440, 10), Daily(("02:30", "09:00"), "Europe/Paris"),
         Daily(("00:15",), "Asia/Kathmandu", ("mon", "fri"))]
print(json.dumps([[describe(s), fingerprint(s), *slots(s, 1774000000, 1775000000)] for s in cases]))
"""


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "right/Europe/Paris", "nonsense"])
def test_the_hosts_zone_and_language_change_nothing(zone):
    here = json.loads(_printed_slots({}))
    assert json.loads(_printed_slots({"TZ": zone, "LC_ALL": "tr_TR.UTF-8"})) == here
    assert len(here[0]) > 2000


@cache
def _printed(environment):
    command = [sys.executable, "-c", PRINT_SLOTS]
    inherited = {key: value for key, value in os.environ.items() if key not in {"TZ", "LC_ALL"}}
    done = subprocess.run(
        command, env=inherited | dict(environment), check=True, capture_output=True, timeout=60
    )
    return done.stdout


def _printed_slots(environment):
    return _printed(tuple(environment.items()))


# Properties, against oracles that share nothing with the product


def for_a_while(share, **strategies):
    """Try cases for a share of the time, in rounds of Hypothesis; the end prints how many."""

    def decorate(check):
        def test(record_property):
            cases = 0

            def counted(**drawn):
                nonlocal cases
                cases += 1
                check(**drawn)

            end = monotonic() + SECONDS * share
            a_round = settings(
                max_examples=20,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            while monotonic() < end:
                seed(random.getrandbits(64))(a_round(given(**strategies)(counted)))()
            record_property("cases", cases)

        test.__name__ = check.__name__
        return test

    return decorate


FIRST, LAST = instants("2024-01-01T00:00Z", "2040-12-31T00:00Z")
seconds = st.integers(FIRST, LAST)
spans = st.integers(0, 20 * DAY)
intervals = st.builds(Interval, st.integers(1, 1440), st.integers(0, 59))
times_of_day = st.lists(
    st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}"),
    min_size=1,
    max_size=6,
    unique=True,
).map(lambda at: tuple(sorted(at)))
some_days = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(
    lambda days: tuple(day for day in WEEKDAYS if day in days)
)
zones = st.sampled_from(sorted(schedule.zone_names()))
dailies = st.builds(Daily, times_of_day, zones, st.just(WEEKDAYS) | some_days)
schedules = intervals | dailies


@cache
def changes(zone, first=FIRST // DAY, last=LAST // DAY):
    """Return the days, in Unix days, in which the zone changes its offset from UTC."""
    offsets = [
        datetime.fromtimestamp(day * DAY, schedule.zone(zone)).utcoffset()
        for day in range(first, last)
    ]
    return [first + day for day in range(len(offsets) - 1) if offsets[day] != offsets[day + 1]]


@cache
def scanned(zone, first_day, days, step=1):
    """Walk through UTC minute by minute, or by more; return (weekday, instant) of each `HH:MM` of each date.

    The forward mapping alone is asked. Where the local clock leaps ahead, the times that it leaves
    out are given the instants that follow the leap, one a minute; where it falls back, those that
    were seen keep their first instant (RFC 5545 3.3.5).
    """
    instant_of, expected, pace = {}, None, timedelta(minutes=step)
    for instant in range(first_day * DAY, (first_day + days) * DAY, step * MINUTE):
        local = datetime.fromtimestamp(instant, schedule.zone(zone)).replace(tzinfo=None, fold=0)
        skipped = expected or local
        while skipped < local:
            instant_of.setdefault(skipped, instant + int((skipped - expected).total_seconds()))
            skipped += pace
        instant_of.setdefault(local, instant)
        expected = local + pace
    by_time = {}
    for local, instant in instant_of.items():
        at = f"{local.hour:02}:{local.minute:02}"
        by_time.setdefault(at, []).append((WEEKDAYS[local.weekday()], instant))
    return by_time


def brute_force(when, by_time):
    return sorted({instant for at in when.at for day, instant in by_time[at] if day in when.days})


def check_against(when, expected, after, through):
    within = [slot for slot in expected if after < slot <= through]
    assert list(slots(when, after, through)) == within
    assert count(when, after, through) == len(within)
    if within:
        assert next_slot(when, after) == within[0]
        assert latest_slot(when, through) == within[-1]


@for_a_while(0.1, when=intervals, after=seconds, minutes=st.integers(0, 4000))
def test_intervals_are_what_a_scan_of_epoch_minutes_finds(when, after, minutes):
    through = after + minutes * MINUTE
    expected = [
        minute * MINUTE
        for minute in range(after // MINUTE, through // MINUTE + 1)
        if minute % when.interval_minutes == when.start_minute % when.interval_minutes
    ]
    check_against(when, expected, after, through)


@for_a_while(0.6, zone=zones, data=st.data())
def test_local_times_are_what_a_scan_of_utc_minutes_finds(zone, data):
    any_day = st.integers(FIRST // DAY, LAST // DAY)
    day = data.draw(any_day | st.sampled_from(changes(zone)) if changes(zone) else any_day)
    by_time = scanned(zone, day - 2, 6)
    for _ in range(5):
        when = Daily(data.draw(times_of_day), zone, data.draw(st.just(WEEKDAYS) | some_days))
        after = data.draw(st.integers((day - 1) * DAY, (day + 3) * DAY))
        through = data.draw(st.integers(after, (day + 3) * DAY))
        check_against(when, brute_force(when, by_time), after, through)


@pytest.mark.slow
def test_every_zone_is_what_a_scan_of_utc_finds(record_property):
    """Each zone in some year, round a change if it has one; times in quarters, as offsets are."""
    for zone in sorted(schedule.zone_names()):
        first = random.randrange(FIRST // DAY, LAST // DAY - 366)
        day = random.choice(changes(zone, first, first + 366) or [first])
        at = {f"{random.randrange(24):02}:{random.choice(('00', 15, 30, 45))}" for _ in range(30)}
        when = Daily(tuple(sorted(at)), zone)
        expected = brute_force(when, scanned(zone, day - 1, 4, step=15))
        check_against(when, expected, day * DAY, (day + 2) * DAY)
    record_property("cases", len(schedule.zone_names()))


@for_a_while(0.1, when=schedules, a=seconds, lengths=st.tuples(spans, spans))
def test_two_spans_hold_what_the_whole_holds(when, a, lengths):  # law 1
    b, c = a + lengths[0], a + sum(lengths)
    whole = list(slots(when, a, c))
    assert whole == [*slots(when, a, b), *slots(when, b, c)]
    assert len(whole) == count(when, a, c) == count(when, a, b) + count(when, b, c)
    assert all(earlier < later for earlier, later in pairwise([a, *whole]))
    assert all(slot <= c and slot % MINUTE == 0 for slot in whole)


@for_a_while(0.1, when=schedules, at=seconds)
def test_next_and_latest_are_neighbours(when, at):
    slot = next_slot(when, at)
    before = latest_slot(when, at)
    assert before <= at < slot
    assert latest_slot(when, slot - 1) == before
    assert next_slot(when, before) == slot
    assert count(when, before, slot) == 1


@for_a_while(0.1, when=schedules, at=seconds)
def test_a_fingerprint_reads_back_as_the_same_slots(when, at):
    again = parse_fingerprint(fingerprint(when))
    assert fingerprint(again) == fingerprint(when)
    assert list(slots(again, at, at + 3 * DAY)) == list(slots(when, at, at + 3 * DAY))
