"""What differs between two specs, and what follows: runs, hosts, references, new names."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic_core import to_json

from sinkd import schemas
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.plan import Difference, as_json, compare, differences
from sinkd.spec import Daily, Interval, Job, Request, Spec

PLAN = Draft202012Validator(schemas.schema("plan"))
NOW = parse_rfc3339("2026-11-23T10:02:40Z")
REQUEST = Request("https://api.example.com/a?key=1", headers=(("X-A", "1"), ("X-B", "2")))
JOB = Job("a", Interval(15, 5), REQUEST, 60, 450)


def spec(*jobs):
    return Spec({job.name: job for job in jobs}, str(jobs))


def of_request(**fields):
    return replace(JOB, request=replace(REQUEST, **fields))


def told(after, before=JOB):
    return [(each.field, each.kind, each.before, each.after) for each in differences(before, after)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (replace(JOB, enabled=False), ("enabled", "changed", True, False)),
        (replace(JOB, timeout_seconds=9), ("timeout_seconds", "changed", 60, 9)),
        (replace(JOB, catch_up_seconds=600), ("catch_up_minutes", "changed", 7.5, 10)),
        (replace(JOB, catch_up_seconds=5), ("catch_up_minutes", "changed", 7.5, 0)),
        (replace(JOB, schedule=Interval(15)), ("schedule.start_minute", "changed", 5, 0)),
        (replace(JOB, description="x"), ("description", "added", None, "x")),
        (replace(JOB, labels=(("team", "x"),)), ("labels.team", "added", None, "x")),
        (replace(JOB, capture_headers=("x-id",)), ("capture_headers", "added", None, ("x-id",))),
        (
            replace(JOB, signing_secret="${env:KEY}"),
            ("signing_secret", "added", None, "${env:KEY}"),
        ),
        (of_request(method="GET"), ("request.method", "changed", "POST", "GET")),
        (
            of_request(url="https://api.example.com/b?key=1"),
            (
                "request.url",
                "changed",
                "https://api.example.com/a",
                "https://api.example.com/b",
            ),
        ),
    ],
)
def test_a_field_that_differs_is_told_with_both_values(after, expected):
    assert told(after) == [expected]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (of_request(url="https://api.example.com/a?key=2"), ("request.query", "changed")),
        (of_request(url="https://api.example.com/a"), ("request.query", "removed")),
        (of_request(body="s3cret"), ("request.body", "added")),
        (of_request(headers=(("X-A", "1"), ("X-B", "3"))), ("request.headers.X-B", "changed")),
        (of_request(headers=(("X-A", "1"),)), ("request.headers.X-B", "removed")),
        (
            of_request(headers=(*REQUEST.headers, ("X-C", "3"))),
            ("request.headers.X-C", "added"),
        ),
    ],
)
def test_values_of_queries_headers_and_bodies_are_not_kept(after, expected):
    assert told(after) == [(*expected, None, None)]


def test_one_and_true_in_a_body_are_not_the_same():
    assert told(of_request(body={"a": True}), of_request(body={"a": 1})) == [
        ("request.body", "changed", None, None)
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of_request(), of_request(headers=REQUEST.headers[::-1])),
        (of_request(body={"a": 1, "b": 2}), of_request(body={"b": 2, "a": 1})),
        (replace(JOB, labels=(("a", ""), ("b", ""))), replace(JOB, labels=(("b", ""), ("a", "")))),
        (replace(JOB, capture_headers=("a", "b")), replace(JOB, capture_headers=("b", "a"))),
        (JOB, replace(JOB, schedule=Interval(15, 20))),
    ],
)
def test_another_order_and_the_same_slots_are_no_difference(one, other):
    assert differences(one, other) == ()


def test_a_window_that_follows_from_the_schedule_is_told_by_the_schedule_alone():
    hourly = replace(JOB, schedule=Interval(60, 5), catch_up_seconds=1800)
    assert told(hourly) == [("schedule.interval_minutes", "changed", 15, 60)]
    explicit = replace(hourly, catch_up_seconds=600)
    assert [name for name, *_ in told(explicit)] == [
        "schedule.interval_minutes",
        "catch_up_minutes",
    ]


def test_another_kind_of_schedule_is_told_field_by_field():
    daily = replace(JOB, schedule=Daily(("09:00",), "UTC", ("mon",)), catch_up_seconds=3600)
    assert told(daily) == [
        ("schedule.interval_minutes", "removed", 15, None),
        ("schedule.start_minute", "removed", 5, None),
        ("schedule.at", "added", None, ("09:00",)),
        ("schedule.timezone", "added", None, "UTC"),
        ("schedule.days", "added", None, ("mon",)),
    ]


SCHEDULES = st.one_of(
    st.builds(Interval, st.integers(1, 90), st.integers(0, 59)),
    st.builds(
        Daily,
        st.sampled_from([("09:00",), ("02:30", "03:30")]),
        st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"]),
        st.sampled_from([("mon",), ("mon", "tue", "sun")]),
    ),
)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
).filter(lambda body: body is None or isinstance(body, str | list | dict))
REQUESTS = st.builds(
    Request,
    st.sampled_from(["https://a.example.com/", "http://b:8/x?y=${env:K}", "https://[::1]/"]),
    headers=st.sampled_from([(), (("A", "${env:T}"),), (("a", "1"), ("b", "2"))]),
    body=BODIES,
)
JOBS = st.builds(
    Job,
    st.sampled_from("abcd"),
    SCHEDULES,
    REQUESTS,
    st.sampled_from([50, 60]),
    st.sampled_from([5, 450, 3600]),
    enabled=st.booleans(),
    signing_secret=st.none() | st.just("${file:s}"),
    labels=st.sampled_from([(), (("t", "x"),)]),
)
SPECS = st.lists(JOBS, max_size=4).map(lambda jobs: spec(*jobs))
INSTANTS = st.integers(1_700_000_000, 1_900_000_000)


@given(SPECS, INSTANTS)
def test_a_file_changes_nothing_against_itself(same, now):
    plan = compare(same, Spec(dict(reversed(same.jobs.items())), same.revision), now)
    assert plan.entries == ()
    assert plan.same_text
    assert plan.unchanged == len(same.jobs)
    assert plan.runs_before == pytest.approx(plan.runs_after)
    assert plan.load_before == plan.load_after


@given(SPECS, SPECS, INSTANTS)
def test_every_job_is_in_exactly_one_list_and_the_runs_add_up(before, after, now):
    plan = compare(before, after, now)
    assert {entry.after.name for entry in plan.added + plan.renamed} == set(after.jobs) - set(
        before.jobs
    )
    assert {entry.before.name for entry in plan.removed + plan.renamed} == set(before.jobs) - set(
        after.jobs
    )
    assert len(plan.entries) + plan.unchanged == len(set(before.jobs) | set(after.jobs)) - len(
        plan.renamed
    )
    gained = sum(entry.runs_after - entry.runs_before for entry in plan.entries)
    assert plan.runs_after - plan.runs_before == pytest.approx(gained)
    for entry in plan.entries:
        assert entry.first_new is None or now < entry.first_new
        assert entry.first_dropped is None or entry.runs_before > 0


@given(SPECS, SPECS, INSTANTS)
def test_the_way_back_tells_the_same_differences(before, after, now):
    there, back = compare(before, after, now), compare(after, before, now)
    mirrored = {
        (entry.job.name, Difference(each.field, each.kind, each.after, each.before))
        for entry in back.changed
        for each in entry.differences
    }
    swapped = {"added": "removed", "removed": "added", "changed": "changed"}
    assert mirrored == {
        (entry.job.name, replace(each, kind=swapped[each.kind]))
        for entry in there.changed
        for each in entry.differences
    }


def test_a_removed_and_an_added_job_with_equal_requests_are_one_that_was_renamed():
    plan = compare(spec(JOB), spec(replace(JOB, name="b", timeout_seconds=9)), NOW)
    (entry,) = plan.entries
    assert plan.renamed == (entry,)
    assert (entry.before.name, entry.after.name) == ("a", "b")
    assert [each.field for each in entry.differences] == ["timeout_seconds"]


def test_another_request_is_no_rename():
    plan = compare(spec(JOB), spec(replace(of_request(body="x"), name="b")), NOW)
    assert (len(plan.added), len(plan.removed), plan.renamed) == (1, 1, ())


def test_of_several_equal_requests_the_closest_job_is_the_one_renamed_and_each_only_once():
    slow = replace(JOB, name="slow", timeout_seconds=600)
    new = [replace(slow, name="slower"), replace(JOB, name="b"), replace(JOB, name="c")]
    plan = compare(spec(JOB, slow), spec(*new), NOW)
    pairs = {(entry.before.name, entry.after.name) for entry in plan.renamed}
    assert pairs == {("slow", "slower"), ("a", "b")}
    assert [entry.job.name for entry in plan.added] == ["c"]


def slots(entry):
    times = (entry.next_before, entry.next_after, entry.first_new, entry.first_dropped)
    return [time and rfc3339(time)[8:16] for time in times]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, JOB, [None, "23T10:05", "23T10:05", None]),
        (JOB, None, ["23T10:05", None, None, "23T10:05"]),
        (JOB, replace(JOB, enabled=False), ["23T10:05", None, None, "23T10:05"]),
        (replace(JOB, enabled=False), JOB, [None, "23T10:05", "23T10:05", None]),
        (JOB, replace(JOB, schedule=Interval(30, 5)), ["23T10:05", "23T10:05", None, "23T10:20"]),
        (JOB, replace(JOB, schedule=Interval(5)), ["23T10:05", "23T10:05", "23T10:10", None]),
        (JOB, replace(JOB, timeout_seconds=9), ["23T10:05", "23T10:05", None, None]),
        (
            replace(JOB, schedule=Daily(("09:00",), "UTC", ("mon", "fri"))),
            replace(JOB, schedule=Daily(("09:00",), "UTC", ("mon",))),
            ["27T09:00", "30T09:00", None, "27T09:00"],
        ),
    ],
)
def test_the_first_slots_that_come_and_go_are_named(before, after, expected):
    plan = compare(*(spec(*filter(None, [job])) for job in (before, after)), NOW)
    assert slots(plan.entries[0]) == expected


def test_a_weekly_job_shows_its_first_run_also_when_that_is_over_7_days_away():
    weekly = replace(JOB, schedule=Daily(("09:00",), "America/New_York", ("mon",)))
    now = parse_rfc3339("2026-10-26T13:00Z")  # the clocks go back on Sunday
    (entry,) = compare(spec(), spec(weekly), now).added
    assert entry.first_new - now == 7 * 86_400 + 3600


def test_a_job_that_was_disabled_drops_no_run_when_it_is_removed():
    (entry,) = compare(spec(replace(JOB, enabled=False)), spec(), NOW).removed
    assert (entry.first_dropped, entry.runs_before) == (None, 0)


def sends(host, *references, name="b", **fields):
    headers = tuple((f"X-{index}", text) for index, text in enumerate(references))
    return replace(JOB, name=name, request=Request(f"https://{host}/", headers=headers), **fields)


def of_hosts(before, after):
    (entry,) = compare(spec(*before), spec(*before[:-1], after), NOW).entries
    return entry.new_host, [*map(str, entry.receives)], [*map(str, entry.needs)]


def test_a_new_host_is_named_with_the_references_that_it_receives():
    known = sends("old.example.com", "${env:A}", name="x")
    new = sends("NEW.example.com", "${env:A} ${env:B} ${env:B}")
    assert of_hosts([known, sends("old.example.com")], new) == (
        "new.example.com",
        ["${env:A}", "${env:B}"],
        ["${env:B}"],
    )


def test_a_reference_that_goes_to_a_known_host_for_the_first_time_is_named():
    known = sends("one.example.com", "${env:A}", name="x")
    other = sends("two.example.com", name="b")
    assert of_hosts([known, other], sends("two.example.com", "${env:A}")) == (
        None,
        ["${env:A}"],
        [],
    )


def test_a_signing_key_is_needed_and_not_sent():
    one = sends("one.example.com")
    assert of_hosts([one], replace(one, signing_secret="${file:k}")) == (None, [], ["${file:k}"])


def test_a_signing_key_that_begins_to_be_sent_is_named():
    one = sends("one.example.com", signing_secret="${file:k}")
    after = sends("one.example.com", "${file:k}", signing_secret="${file:k}")
    assert of_hosts([one], after) == (None, ["${file:k}"], [])


def test_a_host_that_only_a_disabled_job_names_is_not_new_when_it_is_enabled():
    disabled = sends("one.example.com", enabled=False)
    assert of_hosts([disabled], replace(disabled, enabled=True))[0] is None


@given(SPECS, SPECS, INSTANTS)
def test_json_is_what_its_schema_says(before, after, now):
    PLAN.validate(json.loads(to_json(as_json(compare(before, after, now)))))


def test_json_has_the_shape_of_the_manual():
    before = spec(JOB, replace(JOB, name="same"), sends("gone.example.com", name="gone"))
    after = spec(of_request(body="x"), replace(JOB, name="same"), sends("new.example.com"))
    shown = as_json(compare(before, after, NOW))
    assert list(shown) == [
        *("added", "changed", "removed", "renamed", "unchanged", "runs_per_day", "notify")
    ]
    assert [each["job"] for each in shown["added"] + shown["removed"]] == ["b", "gone"]
    assert shown["changed"][0]["fields"] == [{"field": "request.body", "change": "added"}]
    assert (shown["unchanged"], shown["runs_per_day"]) == (1, {"before": 288.0, "after": 288.0})
    renamed = as_json(compare(spec(JOB), spec(replace(JOB, name="b")), NOW))["renamed"]
    assert (renamed[0]["job"], renamed[0]["from"]) == ("b", "a")
    assert set(renamed[0]) == set(PLAN.schema["$defs"]["PlannedJob"]["properties"])


def test_runs_a_day_have_one_decimal():
    twice = replace(JOB, schedule=Daily(("09:00",), "UTC", ("mon", "fri")))
    shown = as_json(compare(spec(), spec(twice), NOW))
    assert shown["runs_per_day"] == {"before": 0, "after": 0.3}
