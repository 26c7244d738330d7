"""Files of other schedulers: golden examples, commands as requests, slots like cron's, garbage."""

import functools
import itertools
import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from sinkd import cli, source
from sinkd.errors import UsageError
from sinkd.instant import DAY, MINUTE
from sinkd.schedule import slots
from sinkd.spec import Interval

EXAMPLES = Path(__file__).parent / "importers"
DAYS = 30
VERCEL = ("vercel", "--base-url", "https://app.example.com")


class Imported:
    """What the command did with the bytes on its standard input."""

    def __init__(self, data, kind, *options):
        text = data.encode() if isinstance(data, str) else data
        done = CliRunner().invoke(
            cli.sinkd, ["import", kind, "-", *options], input=text, standalone_mode=False
        )
        if done.exception:
            raise done.exception
        self.code, self.yaml = done.return_value, done.stdout
        self.said = done.stderr.splitlines()
        self.left_out = [line for line in self.said if ": left out: " in line]
        loaded = source.load(done.stdout_bytes)
        assert loaded.spec, [found.message for found in loaded.diagnostics]
        self.jobs = list(loaded.spec.jobs.values())


def command(text, zone="UTC", above=""):
    """Import one line of a crontab that runs a command daily."""
    return Imported(f"{above}\n0 9 * * * {text}\n", "crontab", "--timezone", zone)


def request(text, above=""):
    done = command(text, above=above)
    assert done.code == 0, done.left_out
    return done.jobs[0].request


def reason(text):
    done = command(text)
    assert (done.code, done.jobs) == (1, [])
    return done.left_out[0].removeprefix("<stdin>:2: left out: ")


@pytest.mark.parametrize(
    ("file", "kind", "options"),
    [
        ("user.crontab", "crontab", []),
        ("system.crontab", "crontab", ["--timezone", "America/New_York"]),
        ("vercel.json", "vercel", ["--base-url", "https://my-app.vercel.app/"]),
        ("gcloud.json", "gcloud", []),
    ],
)
def test_an_example_becomes_the_jobs_and_the_words_beside_it(file, kind, options, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    done = CliRunner().invoke(
        cli.sinkd, ["import", kind, file, *options], standalone_mode=False, catch_exceptions=False
    )
    assert done.stdout == Path(f"{file}.yaml").read_text(encoding="utf-8")
    assert done.stderr == Path(f"{file}.txt").read_text(encoding="utf-8")
    assert done.return_value == 1
    assert source.load(done.stdout_bytes).spec


@pytest.mark.parametrize(
    ("text", "method", "url"),
    [
        ("curl https://a.example.com/x", "GET", "https://a.example.com/x"),
        ("curl a.example.com/x#part", "GET", "http://a.example.com/x"),
        ("curl -sSI --url 'https://a.example.com/x?a=1&b=2'", "HEAD", "https://a.example.com/x?a=1&b=2"),
        ("/usr/bin/curl -XPUT https://a.example.com", "PUT", "https://a.example.com"),
        ("curl -fsSXdelete https://a.example.com -o out 2>/dev/null", "DELETE", "https://a.example.com"),
        ("curl https://a.example.com &>/dev/null", "GET", "https://a.example.com"),
        ("curl https://a.example.com>out 2>&1 # now", "GET", "https://a.example.com"),
        ("curl https://a.example.com >> out || :", "GET", "https://a.example.com"),
        ("deploy curl https://a.example.com", "GET", "https://a.example.com"),
        ("curl https://a.example.com/\\%20", "GET", "https://a.example.com/%20"),
        ("wget -qO- https://a.example.com", "GET", "https://a.example.com"),
        ("wget --spider -nv -t1 -T 5 https://a.example.com", "HEAD", "https://a.example.com"),
        ("wget --method=PATCH https://a.example.com", "PATCH", "https://a.example.com"),
        ("curl $BASE/x?key=$KEY", "GET", "https://a.example.com/x?key=${env:KEY}"),
        ('curl "${BASE}/x?key=\\$KEY"', "GET", "https://a.example.com/x?key=$KEY"),
    ],
)  # fmt: skip
def test_a_command_becomes_its_method_and_url(text, method, url):
    found = request(text, above="BASE=https://a.example.com")
    assert (found.method, found.url) == (method, url)


FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("options", "headers", "body"),
    [
        ("-d a=1 --data 'b=2'", [FORM], "a=1&b=2"),
        ("--data-raw @x", [FORM], "@x"),
        ("-H 'content-type: application/json' -d '{}'", [(JSON[0].lower(), JSON[1])], "{}"),
        ("--json '{\"a\": 1}'", [JSON, ("Accept", "application/json")], '{"a": 1}'),
        ("--json [] -H 'Accept: text/html'", [("Accept", "text/html"), JSON], "[]"),
        ("-d \"a=$A&b='${B}'\"", [FORM], "a=${env:A}&b='${env:B}'"),
        ("-d 'a=$A${B}'", [FORM], "a=$A$${B}"),
    ],
)
def test_data_is_sent_as_the_program_would(options, headers, body):
    found = request(f"curl https://a.example.com {options}")
    assert (found.method, list(found.headers), found.body) == ("POST", headers, body)


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ("-H 'X-One: a: b' -H 'X-Two;' -H 'Expect:'", [("X-One", "a: b"), ("X-Two", "")]),
        ("-A me -e https://b.example.com -b a=1",
         [("User-Agent", "me"), ("Referer", "https://b.example.com"), ("Cookie", "a=1")]),
        ('--oauth2-bearer "$TOKEN"', [("Authorization", "Bearer ${env:TOKEN}")]),
        ('-H "Authorization: Bearer $TOKEN"', [("Authorization", "Bearer ${env:TOKEN}")]),
        ("-H 'Authorization: Bearer $TOKEN'", [("Authorization", "Bearer $TOKEN")]),
        ("-H Connection:\\ close", []),
    ],
)  # fmt: skip
def test_headers_keep_their_order_and_variables_become_references(options, headers):
    assert list(request(f"curl {options} https://a.example.com").headers) == headers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("curl -u me:secret https://a.example.com", "option `-u`: write it as a header"),
        ("curl --user me:secret https://a.example.com", "option `--user`: write it as a header"),
        ("curl --use me https://a.example.com", "option `--use`: not known here"),
        ("curl --keep 5 https://a.example.com", "option `--keep`: not known here"),
        ("curl -fsQ https://a.example.com", "option `-Q`: not known here"),
        ("curl https://a.example.com -m", "option `-m`: no value"),
        ("curl -m soon https://a.example.com", "option `-m`: not a number of seconds"),
        ("curl -m 7200 https://a.example.com", "`timeout_seconds` must be"),
        ("curl -F a=@b https://a.example.com", "option `-F`: a request is written out"),
        ("curl -d @f https://a.example.com", "option `-d`: a request is written out"),
        ("curl -b jar https://a.example.com", "option `-b`: a request is written out"),
        ("curl -d 1 --json 2 https://a.example.com", "option `--json`: the body is given twice"),
        ("curl -X GET -d a=1 https://a.example.com", "body"),
        ("curl -H 'A: 1' -H 'a: 2' https://a.example.com", "one header is given twice"),
        ("curl -H nonsense https://a.example.com", "a header without `:`"),
        ("curl -x proxy https://a.example.com", "option `-x`: a proxy is set for all jobs"),
        ("curl https://a.example.com --next https://b.example.com", "option `--next`: one job"),
        ("curl https://a.example.com/a https://b.example.com", "several URLs"),
        ("curl -s", "no URL"),
        ("curl ftp://a.example.com", "the scheme of a URL"),
        ("curl 'https://a.example.com/${y}'", "this cannot stand in a URL"),
        ("curl $BASE/x", "a reference may stand in path and query only"),
        ("curl https://me:secret@a.example.com", "a URL cannot hold credentials"),
        ("curl https://a.example.com | sh", "`|` needs a shell"),
        ("cd /x && curl https://a.example.com", "`&&` needs a shell"),
        ("curl https://a.example.com &", "`&` needs a shell"),
        ("(curl https://a.example.com)", "`(` needs a shell"),
        ("curl https://a.example.com/`date`", "the shell puts in"),
        ('curl "https://a.example.com/$(date)"', "the shell puts in"),
        ("curl https://a.example.com/${A:-b}", "the shell puts in"),
        ("curl https://a.example.com/?a=\\$$A", "a `$` right before a variable"),
        ("curl 'https://a.example.com", "a quote or backslash is left open"),
        ("curl https://a.example.com/%20", "a bare `%` begins standard input"),
        ("echo curl https://a.example.com", "the command is not curl or wget"),
        ("/opt/backup.sh", "the command is not curl or wget"),
        ("# nothing", "the command is not curl or wget"),
        ("wget --post-file=f https://a.example.com", "option `--post-file`: a request is written"),
        ("wget -i urls", "option `-i`: a request is written out"),
    ],
)
def test_what_is_no_request_of_its_own_is_left_out_with_the_reason(text, said):
    assert reason(text).startswith(said) or said == "body"
    assert "secret" not in reason(text)


def test_what_changes_for_the_user_is_said_once_with_the_lines():
    text = "0 9 * * * curl -L --retry 3 https://a.example.com\n" * 7
    assert Imported(text, "crontab", "--timezone", "UTC").said == snapshot(
        [
            "<stdin>:1,2,3,4,5 and 2 more: note: redirects are never followed",
            "<stdin>:1,2,3,4,5 and 2 more: note: sinkd never retries: the next slot is the next run",
            "<stdin>:1,2,3,4,5 and 2 more: note: no time limit was set: a run may take `timeout_seconds`, 60 by default",
            "<stdin>: 7 jobs, 0 left out",
        ]
    )


def test_a_timeout_is_rounded_up_and_0_is_none():
    assert command("curl -m 0.5 https://a.example.com").jobs[0].timeout_seconds == 1
    assert command("curl --max-time 0 https://a.example.com").jobs[0].timeout_seconds == 60


def test_comments_right_above_a_line_describe_it_and_a_short_one_names_it():
    text = """\
# m h dom mon dow command
0 1 * * * curl https://a.example.com/x
# Crème brûlée:
# caramelise
0 2 * * * curl https://a.example.com/x

# of nothing

0 3 * * * curl https://a.example.com/x
# gone
# 0 4 * * * curl https://a.example.com/y
0 5 * * * curl https://a.example.com/x
"""
    jobs = Imported(text, "crontab").jobs
    assert [(job.name, job.description) for job in jobs] == [
        ("a.example.com-x", None),
        ("creme-brulee-caramelise", "Crème brûlée: caramelise"),
        ("a.example.com-x-2", None),
        ("a.example.com-x-3", None),
    ]


def test_long_names_stay_unique_within_63_characters():
    path = "a" * 80
    jobs = Imported(f"0 9 * * * curl https://a.example.com/{path}\n" * 11, "crontab").jobs
    assert len({job.name for job in jobs}) == 11
    assert {len(job.name) for job in jobs} == {63}


def test_cron_tz_holds_for_the_lines_below_and_wins_over_the_option():
    text = "0 9 * * * curl a.example.com\nCRON_TZ='Europe/Paris'\n0 9 * * * curl a.example.com\n"
    first, second = Imported(text, "crontab", "--timezone", "Asia/Tokyo").jobs
    assert (first.schedule.timezone, second.schedule.timezone) == ("Asia/Tokyo", "Europe/Paris")
    assert "taken to be UTC" in "".join(Imported(text, "crontab").said)


def test_an_hourly_line_of_a_zone_with_half_hours_is_moved_to_utc():
    done = Imported("15 * * * * curl a.example.com\n", "crontab", "--timezone", "Asia/Kolkata")
    assert done.jobs[0].schedule == Interval(60, 45)


def test_the_times_of_a_list_are_counted_in_the_file_and_aloud():
    done = Imported("*/15 9-16 * * 1-5 curl a.example.com\n", "crontab")
    assert "# no interval means the same: 32 times of day do\n" in done.yaml
    assert any("32 times of day" in line for line in done.said)
    assert len(done.jobs[0].schedule.at) == 32


def test_comments_and_words_hold_no_control_characters():
    target = '{"uri": "https://a.example.com"}'
    listed = [
        f'{{"name": "a\\nb: [\\u001b[2J", "schedule": "{schedule}", "httpTarget": {target}}}'
        for schedule in ("*/7 9 * * *", "@reboot")
    ]
    done = Imported(f"[{','.join(listed)}]", "gcloud")
    assert "\x1b" not in done.yaml + "".join(done.said)
    assert (len(done.jobs), len(done.said)) == (1, 3)


def test_every_text_of_a_description_is_kept_as_it_is():
    text = "caf\u00e9 \u200b\x1b[2J \U0001f680 'a' \"b\" \\ # : no"
    done = Imported(f"# {text}\n0 9 * * * curl a.example.com\n", "crontab")
    assert done.jobs[0].description == text
    assert "\x1b" not in done.yaml


@pytest.mark.parametrize("word", ["null", "true", "no", "on", "1e3", "0x1f", "12"])
def test_a_name_that_yaml_would_not_read_as_text_is_quoted(word):
    done = Imported(f'{{"crons": [{{"path": "/{word}", "schedule": "0 9 * * *"}}]}}', *VERCEL)
    assert [job.name for job in done.jobs] == [word]
    assert f'name: "{word}"' in done.yaml


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert Imported("\ufeff0 9 * * * curl a.example.com\n", "crontab").code == 0


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"a\n\xff", ["crontab"], "<stdin>:2: not UTF-8 text: byte 0xff"),
        ("\n\nversion: 1\njobs: []\n", ["crontab"], "<stdin>:3: not a crontab: a line has five"),
        ('{"crons":\n[,]}', VERCEL, "<stdin>:2:2: not JSON: expected value"),
        ("{}", VERCEL, "<stdin>:1: not a vercel.json with crons"),
        ("- name: x", ["gcloud"], "--format=json"),
        ("[{}]", ["gcloud"], "<stdin>:1: no jobs of Cloud Scheduler: print them with"),
        ("{}", ["vercel"], "names no host: add `--base-url"),
        ("{}", ["vercel", "--base-url", "app.example.com"], "`--base-url`: a URL begins with"),
        ("{}", ["vercel", "--base-url", "https://a.example.com?x"], "`--base-url` has no query"),
        ("{}", ["gcloud", "--timezone", "UTC"], "`--timezone` is for a crontab"),
        ("", ["crontab", "--base-url", "https://a.example.com"], "`--base-url` is for vercel"),
        ("", ["crontab", "--timezone", "Mars"], "`Mars` is no IANA time zone"),
        (b"#" * (4 * 1024 * 1024 + 1), ["crontab"], "<stdin> is larger than 4 MiB"),
    ],
)
def test_what_is_not_of_the_format_is_refused_at_its_place(data, kind, said):
    with pytest.raises(UsageError) as refused:
        Imported(data, *kind)
    assert said in str(refused.value)


@pytest.mark.parametrize(("data", "kind"), [("", ["crontab"]), ("[]", ["gcloud"])])
def test_an_empty_file_becomes_one_without_jobs(data, kind):
    done = Imported(data, *kind)
    assert (done.code, done.jobs) == (0, [])


def test_one_job_of_cloud_scheduler_may_stand_alone_with_the_defaults_of_google():
    target = '{"uri": "https://a.example.com"}'
    done = Imported(f'{{"schedule": "0 9 * * *", "httpTarget": {target}}}', "gcloud")
    job = done.jobs[0]
    assert (job.name, job.timeout_seconds) == ("0", 180)
    assert (job.request.method, job.schedule.timezone) == ("POST", "UTC")


# cron, minute by minute


def field(lowest, highest):
    """A field of a cron expression, with the numbers that it was made of."""
    number = st.integers(lowest, highest)

    def part(first, last, step, kind):
        first, last = sorted((first, last))
        return {
            "*": ("*", range(lowest, highest + 1)),
            "number": (f"{first}", [first]),
            "range": (f"{first}-{last}", range(first, last + 1)),
            "steps": (f"*/{step}", range(lowest, highest + 1, step)),
            "range of steps": (f"{first}-{last}/{step}", range(first, last + 1, step)),
        }[kind]

    kinds = st.sampled_from(["*", "number", "range", "steps", "range of steps"])
    parts = st.lists(
        st.builds(part, number, number, st.integers(1, highest), kinds), min_size=1, max_size=2
    )
    return parts.map(lambda listed: (
        ",".join(text for text, _ in listed), {n for _, numbers in listed for n in numbers}
    ))  # fmt: skip


@functools.cache
def minutes_of(zone, month):
    """The minutes of a month of 2026 by what cron looks at: minute, hour, weekday 0 = Sunday."""
    found = defaultdict(list)
    start = int(datetime(2026, month, 1, tzinfo=UTC).timestamp())
    for instant in range(start, start + DAYS * DAY, MINUTE):
        local = datetime.fromtimestamp(instant, ZoneInfo(zone))
        found[local.minute, local.hour, local.isoweekday() % 7].append(instant)
    return found, start


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo"]),
    field(0, 59),
    st.just(("*", set(range(24)))) | field(0, 23),
    st.just(("*", set(range(7)))) | field(0, 6),
)
def test_the_slots_of_a_line_are_those_of_cron(zone, minute, hour, weekday):
    line = f"{minute[0]} {hour[0]} * * {weekday[0]} curl https://a.example.com\n"
    done = Imported(line, "crontab", "--timezone", zone)
    if done.left_out:
        assert "more than 100 times a day" in done.left_out[0]
        assert len(minute[1]) * len(hour[1]) > 100
        return
    schedule = done.jobs[0].schedule
    # In October the clocks of Europe change: an hourly line is an interval all the same.
    minutes, start = minutes_of(zone, 10 if isinstance(schedule, Interval) else 11)
    due = (minutes[at] for at in itertools.product(minute[1], hour[1], weekday[1]))
    expected = sorted(itertools.chain.from_iterable(due))
    assert list(slots(schedule, start - 1, start + DAYS * DAY - 1)) == expected


# never a crash, never a file that validate refuses, nothing lost

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def sometimes(good):
    return st.sampled_from(good) | JSON_VALUES


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([["crontab"], VERCEL, ["gcloud"]]),
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
)
def test_bytes_that_are_anything_are_converted_or_refused(kind, data):
    try:
        Imported(data, *kind)
    except UsageError:
        return


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=60),
        min_size=1,
        max_size=4,
    )
)
def test_each_line_is_a_job_or_is_left_out(texts):
    lines = [f"0 9 * * * curl https://a.example.com {text} x" for text in texts]
    done = Imported("\n".join(lines), "crontab")
    assert len(done.jobs) + len(done.left_out) == len(lines)


@settings(max_examples=150, deadline=None)
@given(st.lists(
    st.fixed_dictionaries({}, optional={"path": sometimes(["/a", "/b?c=d"]), "schedule": sometimes(["* * * * *", "0 9 * * 1"])})
    | JSON_VALUES, max_size=4,
))  # fmt: skip
def test_each_cron_of_vercel_is_a_job_or_is_left_out(crons):
    done = Imported(json.dumps({"crons": crons}), *VERCEL)
    assert len(done.jobs) + len(done.left_out) == len(crons)


TARGET = {
    "uri": sometimes(["https://a.example.com"]), "httpMethod": sometimes(["GET", "POST"]),
    "body": sometimes(["e30=", "e"]), "headers": sometimes([{"A": "b"}, {"Host": "x"}, {"é": "b"}]),
}  # fmt: skip
JOB = {
    "name": sometimes(["projects/p/locations/l/jobs/j"]), "schedule": sometimes(["0 9 * * *"]),
    "timeZone": sometimes(["Etc/UTC", "Asia/Tokyo"]), "attemptDeadline": sometimes(["180s", "0.5s", "9999s"]),
    "state": sometimes(["PAUSED"]), "description": sometimes(["x"]), "retryConfig": sometimes([{"retryCount": 1}]),
    "httpTarget": st.fixed_dictionaries({}, optional=TARGET) | JSON_VALUES,
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=JOB) | JSON_VALUES, max_size=3))
def test_each_job_of_google_is_a_job_or_is_left_out(listed):
    listed.append({"schedule": "0 0 1 * *"})
    done = Imported(json.dumps(listed), "gcloud")
    assert len(done.jobs) + len(done.left_out) == len(listed)
