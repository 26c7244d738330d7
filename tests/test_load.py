from inline_snapshot import snapshot

from sinkd.instant import parse_rfc3339
from sinkd.load import busiest, chart, least_used, load_by_minute, strip
from sinkd.spec import WEEKDAYS, Daily, Interval, Job, Request, Spec

NOW = parse_rfc3339("2026-11-23T10:02:40Z")


def load(*schedules, enabled=True):
    jobs = [
        Job(f"job-{number}", schedule, Request("http://127.0.0.1/"), 60, 60, enabled=enabled)
        for number, schedule in enumerate(schedules)
    ]
    return load_by_minute(Spec({job.name: job for job in jobs}, "0" * 64), NOW)


def used(load):
    return {minute: runs for minute, runs in enumerate(load) if runs}


def test_runs_due_together_add_up():
    assert used(load(Interval(30, 5), Interval(15, 5), Interval(15, 5))) == {
        5: 3,
        20: 2,
        35: 3,
        50: 2,
    }


def test_runs_of_different_hours_do_not_add_up():
    assert used(load(Daily(("09:00", "12:00", "15:00"), "UTC"), Interval(60))) == {0: 2}


def test_a_day_of_the_coming_week_counts():
    sunday = Daily(("09:07",), "UTC", WEEKDAYS[6:])
    assert used(load(sunday, sunday)) == {7: 2}


def test_a_disabled_job_and_an_empty_file_load_no_minute():
    assert used(load(Interval(1), enabled=False)) == used(load()) == {}


def test_local_times_count_at_their_minute_in_utc():
    assert used(load(Daily(("09:00",), "Asia/Kathmandu"))) == {15: 1}


def test_a_mark_is_never_blank_where_something_runs():
    assert strip([0, 1, 50, 99, 100], 100) == " ▁▄██"
    assert strip([0, 0], 0) == "  "


def test_the_chart_shows_several_loads_on_one_scale():
    before, after = (
        load(Interval(30), Interval(15)),
        load(Interval(30), Interval(15), Interval(5, 1)),
    )
    assert chart({"before": before, "after": [2 * runs for runs in after]}) == snapshot("""\
        :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
before |▄              ▂              ▄              ▂              |
after  |█▄    ▄    ▄   ▄▄    ▄    ▄   █▄    ▄    ▄   ▄▄    ▄    ▄   |\
""")


def test_the_most_and_the_least_used_minute_are_named():
    few = load(Interval(1), Interval(30, 5))
    assert busiest(few) == "2 at :05"
    assert least_used(few) == "Minute :00 has 1, the fewest."
    assert least_used(load(Interval(60))) == "Minute :01 has none."
