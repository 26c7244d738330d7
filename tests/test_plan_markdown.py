"""A plan as a comment: its exact Markdown, and that no value of the file leaves its place."""

# ruff: noqa: RUF001 (the heavy signs of added and removed jobs are meant)
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt

from sinkd import __version__, source
from sinkd.commands.plan_markdown import LIMIT_CHARACTERS, code, markdown
from sinkd.commands.plan_sides import Side
from sinkd.instant import parse_rfc3339
from sinkd.plan import compare
from sinkd.state import Pause
from sinkd.terminal import escape

NOW = parse_rfc3339("2026-11-23T10:02:40Z")

BEFORE = """\
version: 1
jobs:
  - name: nightly-report
    schedule: {at: "01:30", timezone: UTC}
    request: {url: "https://reports.example.com/run"}
  - name: refresh-cache
    schedule: {interval_minutes: 30, start_minute: 5}
    timeout_seconds: 10
    request: {url: "https://api.example.com/v1/cache"}
  - name: legacy-sync
    schedule: {interval_minutes: 60}
    request: {url: "https://old.example.com/sync"}
  - name: ping
    schedule: {interval_minutes: 60, start_minute: 7}
    enabled: false
    request: {url: "https://ping.example.com/"}
"""
AFTER = """\
version: 1
jobs:
  - name: pinger
    schedule: {interval_minutes: 60, start_minute: 7}
    request: {url: "https://ping.example.com/"}
  - name: warm-search
    schedule: {interval_minutes: 60}
    request:
      url: https://search.example.net/warm
      headers: {Authorization: "Bearer ${env:SEARCH_TOKEN}"}
  - name: nightly-report
    schedule: {at: "01:30", timezone: UTC}
    request: {url: "https://reports.example.com/run"}
    enabled: false
  - name: refresh-cache
    schedule: {interval_minutes: 15, start_minute: 5}
    timeout_seconds: 20
    request:
      url: https://api.example.com/v1/cache
      headers: {X-Token: "${env:CACHE_TOKEN}"}
"""


def job(name="one", **request):
    fields = {"url": f"https://{name}.example.com/"} | request
    listed = ", ".join(f"{key}: '{value}'" for key, value in fields.items())
    schedule = "{interval_minutes: 30}"
    return f"  - name: {name}\n    schedule: {schedule}\n    request: {{{listed}}}\n"


def jobs(*listed):
    return "version: 1\njobs:\n" + "".join(listed) if listed else "version: 1\njobs: []\n"


def comment(before, after, **daemon):
    sides = [
        Side("origin/main (8d21f0c)", "8d21f0c:jobs.yaml", before.encode(), "8d21f0c", **daemon),
        Side("jobs.yaml", "jobs.yaml", after.encode(), "3f2c1a9"),
    ]
    specs = [source.load(side.data).spec for side in sides]
    text = "\n".join(markdown(compare(*specs, NOW), *sides)) + "\n"
    return text.replace(f"sinkd {__version__}, ", "sinkd VERSION, ")


def rendered(text):
    return MarkdownIt("commonmark").enable("table").render(text)


def test_a_comment_shows_a_row_for_each_job_warnings_first_runs_and_load():
    assert comment(BEFORE, AFTER) == snapshot("""\
<!-- sinkd-plan: jobs.yaml -->
### sinkd plan: 1 to add, 2 to change, 1 to rename, 1 to remove

| | Job | Schedule | Runs a day | Change |
|---|---|---|---:|---|
| ➕ | `warm-search` | hourly at :00 | 0 → 24 | `POST https://search.example.net/warm`, **new host**, receives `${env:SEARCH_TOKEN}`, needs `SEARCH_TOKEN` in the environment of sinkd run |
| ⏸️ | `nightly-report` | daily at 01:30 UTC | 1 → 0 | disabled: the run of 2026-11-24 01:30 UTC is dropped |
| 🔁 | `refresh-cache` | every 15 min at :05 :20 :35 :50 | 48 → **96** | `schedule.interval_minutes` 30 → 15, `request.headers.X-Token` added, `timeout_seconds` 10 → 20, `api.example.com` receives `${env:CACHE_TOKEN}`, needs `CACHE_TOKEN` in the environment of sinkd run |
| ▶️ | `pinger` | hourly at :07 | 0 → 24 | renamed from `ping`, which keeps its history, enabled: first run 10:07 UTC, in 4 min |
| ➖ | `legacy-sync` | hourly at :00 | 24 → 0 | removed |

> [!WARNING]
> `warm-search` sends to `search.example.net`, a host no job used before.
>
> `refresh-cache` sends `${env:CACHE_TOKEN}` to `api.example.com` for the first time.

<details><summary>First runs after the merge</summary>

| Time | Job |
|---|---|
| 10:05 UTC | `refresh-cache` |
| 10:07 UTC | `pinger` |
| 11:00 UTC | `warm-search` |

</details>
<details><summary>Load: 73 → 144 runs a day, most in one minute: 1 at :00, as before</summary>

```text
        :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
before |█    █                        █    █                        |
after  |█    █ █            █              █              █         |
```

</details>

<sub>sinkd VERSION, <code>8d21f0c</code> → <code>3f2c1a9</code></sub>
""")


def test_no_change_is_said():
    assert comment(BEFORE, BEFORE) == snapshot("""\
<!-- sinkd-plan: jobs.yaml -->
### sinkd plan: no changes

No changes.

<sub>sinkd VERSION, <code>8d21f0c</code> → <code>3f2c1a9</code></sub>
""")


def test_a_daemon_is_out_of_sync_and_holds_a_job():
    pauses = {"one": Pause(parse_rfc3339("2026-11-23T14:30:00Z"), "see `#12` @ops", "ann")}
    after = jobs(job(method="GET"))
    assert comment(jobs(job()), after, is_daemon=True, pauses=pauses) == snapshot("""\
<!-- sinkd-plan: jobs.yaml -->
### sinkd plan: 0 to add, 1 to change, 0 to remove

Out of sync: 1 job differs

- `one` is paused until 14:30 UTC by `ann`: <code>see&#32;&#96;&#35;12&#96;&#32;&#64;ops</code>

| | Job | Schedule | Runs a day | Change |
|---|---|---|---:|---|
| 🔁 | `one` | every 30 min at :00 :30 | 48 | `request.method` `POST` → `GET` |

<sub>sinkd VERSION, <code>8d21f0c</code> → <code>3f2c1a9</code></sub>
""")


def test_the_marker_cannot_be_ended_by_the_name_of_the_file():
    side = Side("a", "x --> <img>.yaml", b"", "1")
    spec = source.load(jobs().encode()).spec
    first = next(markdown(compare(spec, spec, NOW), side, side))
    assert first == "<!-- sinkd-plan: x _-_ _img_.yaml -->"


HOSTILE = [
    "a|b", "`code`", "a ``` b", "<img src=x onerror=alert(1)>", "@everyone", "#12", "a\\|b", "\\",
    "[x](http://evil.example)", "**bold**", "&lt;b&gt;", "--> <!--", " ends with blanks ", "a\nb",
    "\u202ereversed", "https://evil.example", "</code><b>x</b>", "| --- |",
]  # fmt: skip


def shown_as_code(text):
    """Return what a reader sees of a text that stands as code in the first of two cells."""
    page = rendered(f"| a | b |\n|---|---|\n| x {code(text)} y | z |\n")
    first, _ = re.findall(r"<td>(.*?)</td>", page, re.DOTALL)
    return html.unescape(re.fullmatch(r"x <code>([^<]*)</code> y", first)[1])


@pytest.mark.parametrize("text", HOSTILE)
def test_code_shows_a_hostile_text_and_nothing_else(text):
    assert shown_as_code(text) == escape(text)


@given(st.text(alphabet=st.characters() | st.sampled_from("`|\\<>&@*_ \n[]"), min_size=1))
def test_no_text_leaves_its_code(text):
    assert shown_as_code(text) == escape(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_of_the_file_stays_in_the_cell_of_its_job(text):
    quoted = '"' + escape(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
    after = jobs(job() + f"    labels: {{team: {quoted}}}\n    description: {quoted}\n")
    page = rendered(comment(jobs(job()), after))
    assert len(re.findall("<td", page)) == 5
    assert not re.findall("<(?!/?(?:h3|table|t[rdh]|thead|tbody|code|sub|p)\\b|!--)", page)


def test_values_of_headers_bodies_and_queries_are_never_shown():
    before = jobs(job(url="https://one.example.com/?key=s3cret-a", body="s3cret-b"))
    after = jobs(job(url="https://one.example.com/?key=s3cret-c", body="s3cret-d"))
    after += "    signing_secret: ${env:KEY}\n"
    after = after.replace("request: {", "request: {headers: {X-A: s3cret-e}, ")
    text = comment(before, after)
    assert "s3cret" not in text
    assert "`request.query` changed, `request.body` changed, `request.headers.X-A` added" in text


def many(number):
    return jobs(*(job(f"job-{index}") for index in range(number)))


def test_a_comment_is_cut_at_60_000_characters_and_says_how_many_jobs_are_left_out():
    text = comment(jobs(), many(900))
    assert LIMIT_CHARACTERS - 500 < len(text) <= LIMIT_CHARACTERS
    left_out = re.search(r"\*\*(\d+) jobs are left out\*\*, (\d+) of them with a warning", text)
    assert left_out
    assert text.count("\n| ➕ |") + int(left_out[1]) == 900
    assert left_out[1] == left_out[2]
    assert text.endswith("</sub>\n")
    assert "left out" not in comment(jobs(), many(50))


def test_one_job_may_be_too_much():
    headers = ", ".join(f"X-{index:090}: a" for index in range(900))
    before = jobs(job())
    after = before.replace("request: {", f"request: {{headers: {{{headers}}}, ")
    text = comment(before, after)
    assert "**1 job is left out**, none of them with a warning" in text
    assert len(text) < 1000
