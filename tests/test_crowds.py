"""Warnings about all jobs of a file together: crowds, too few permits, one request twice."""

import pytest

from sinkd import crowds, source

HOURLY = "{interval_minutes: 60}"


def found(*jobs: str) -> list[tuple[str, str, str]]:
    """Check jobs of which each is written `schedule | url | further fields`; return warnings."""
    text = "version: 1\njobs:\n"
    for number, job in enumerate(jobs):
        schedule, url, *more = (part.strip() for part in job.split("|"))
        fields = f"name: j-{number}, schedule: {schedule}, request: {{url: '{url}'}}"
        text += f"  - {{{', '.join([fields, *more])}}}\n"
    loaded = source.load(text.encode())
    assert loaded.spec, loaded.diagnostics
    return [(each.code, each.message, each.label) for each in loaded.diagnostics]


def codes(*jobs: str) -> list[str]:
    return sorted(code for code, _, _ in found(*jobs))


def spread(number: int, schedule: str = HOURLY, hosts: int = 1, more: str = "") -> list[str]:
    return [f"{schedule} | https://h{n % hosts}.example.com/{n} {more}" for n in range(number)]


def test_thirty_runs_to_one_host_in_one_minute_are_a_crowd_and_a_free_minute_is_named():
    crowd = spread(30, "{interval_minutes: 30, start_minute: 5}")
    assert found(*crowd) == [
        (
            "SNK202",
            "30 runs call `h0.example.com` in one minute, :05 past the hour",
            ":00 has none: spread them over the hour",
        )
    ]
    assert found(*crowd[1:]) == []


def test_a_disabled_job_is_in_no_crowd():
    crowd = spread(30)
    assert codes(*crowd[1:], crowd[0] + "| enabled: false") == []


def test_runs_at_different_times_are_no_crowd():
    assert (
        codes(*[f"{{interval_minutes: 60, start_minute: {n}}} | https://h/{n}" for n in range(60)])
        == []
    )
    assert (
        codes(*[f"{{at: '{n % 24:02}:00', timezone: UTC}} | https://h/{n}" for n in range(48)])
        == []
    )
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    weekly = [
        f"{{at: '09:00', timezone: UTC, days: [{days[n % 7]}]}} | https://h/{n}" for n in range(70)
    ]
    assert codes(*weekly) == []


def test_times_of_different_zones_meet_in_utc():
    berlin = spread(15, "{at: '09:00', timezone: Europe/Berlin}")
    assert codes(*berlin, *spread(15, "{at: '13:30', timezone: Asia/Kolkata}")) == [
        "SNK202",
        *["SNK311"] * 15,
    ]
    assert codes(
        *berlin, *[job.strip() + "/x" for job in spread(15, "{at: '08:00', timezone: UTC}")]
    ) == ["SNK202"]
    assert (
        codes(*berlin, *[job.strip() + "/x" for job in spread(15, "{at: '09:00', timezone: UTC}")])
        == []
    )


def test_when_every_minute_is_as_full_no_free_one_can_be_named():
    assert codes(*spread(40, "{interval_minutes: 1}")) == []
    assert (
        codes(*spread(40, "{interval_minutes: 1}"), *[job.strip() + "x" for job in spread(40)])
        == []
    )


def test_a_hundred_runs_to_many_hosts_in_one_minute_are_a_crowd():
    crowd = spread(100, hosts=50)
    assert found(*crowd) == [
        (
            "SNK201",
            "100 runs start in one minute, :00 past the hour",
            ":01 has none: spread them over the hour",
        )
    ]
    assert codes(*crowd[1:]) == []


def test_the_least_used_minute_is_named_with_its_runs():
    jobs = spread(100, hosts=50) + [
        f"{{interval_minutes: 60, start_minute: {n}}} | https://h{n}/"
        for n in range(60)
        for _ in (1,)
    ]
    assert [label for _, _, label in found(*jobs)] == [":01 has 1: spread them over the hour"]


def test_a_crowd_of_one_host_is_not_said_twice():
    assert codes(*spread(100)) == ["SNK202"]


@pytest.mark.parametrize(
    ("number", "schedule", "more", "late"),
    [
        (256, "{interval_minutes: 1}", "", False),  # each has a permit at once
        (257, "{interval_minutes: 1}", "", True),  # the last may wait 50 s, and may only 30 s
        (300, "{interval_minutes: 1}", "| timeout_seconds: 25", False),
        (300, "{interval_minutes: 60}", "", False),
        (300, "{interval_minutes: 60}", "| catch_up_minutes: 1", True),
        (300, "{interval_minutes: 1}", "| catch_up_minutes: 2", False),  # until the next slot
    ],
)
def test_more_runs_than_may_start_within_the_shortest_window(number, schedule, more, late):
    assert ("SNK203" in codes(*spread(number, schedule, more=more))) == late


def test_the_shortest_window_is_that_of_the_jobs_of_the_minute():
    jobs = spread(300, "{interval_minutes: 60}")
    elsewhere = (
        "{interval_minutes: 60, start_minute: 1} | https://h0.example.com/x | catch_up_minutes: 0"
    )
    assert codes(*jobs, elsewhere) == ["SNK202"]
    assert codes(*jobs, elsewhere.replace("start_minute: 1", "start_minute: 0")) == [
        "SNK202",
        "SNK203",
    ]


def test_more_runs_in_all_than_permits():
    found_ = found(*spread(1025, "{interval_minutes: 1}", hosts=50))
    assert found_ == [
        (
            "SNK203",
            "1,025 runs are due in one minute, :00 past the hour: some may not start",
            "1,024 may run at once, the shortest catch-up window is 30 s",
        )
    ]
    assert codes(*spread(1024, "{interval_minutes: 1}", hosts=50)) == []


def test_a_request_sent_twice_is_found_for_each_further_job():
    job = "{interval_minutes: 15} | https://h/"
    assert codes(job, job, job) == ["SNK311", "SNK311"]
    assert codes(job, "{interval_minutes: 20, start_minute: 1} | https://h/") == []
    assert codes(job, "{interval_minutes: 7} | https://h/") == ["SNK302", "SNK311"]
    assert codes(job, job + "| enabled: false") == []
    assert codes(job, job + "| signing_secret: '${env:KEY}'") == []


def test_a_warning_about_the_whole_is_silenced_at_its_line():
    text = "version: 1\njobs:\n" + "".join(
        f"  - {{name: j-{n}, schedule: {HOURLY}, request: {{url: https://h{n % 50}/{n}}}}}\n"
        for n in range(100)
    )
    assert [each.code for each in source.load(text.encode()).diagnostics] == ["SNK201"]
    text = text.replace("jobs:", "jobs:  # sinkd: ignore[SNK201]")
    assert source.load(text.encode()).diagnostics == ()


def test_the_week_begins_on_a_monday():
    assert crowds._MONDAY % (24 * 60) == 0
    assert crowds._MONDAY // (24 * 60) % 7 == 4  # the epoch was a Thursday
