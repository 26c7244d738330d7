"""`sinkd validate` from outside: what it prints, how it exits, what it never imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd.cli import sinkd

JOB = """\
  - name: {name}
    schedule: {{interval_minutes: 15}}
    request: {{url: "https://api.example.com/{name}"}}
"""
ONE = "version: 1\njobs:\n" + JOB.format(name="ping")


def validate(*arguments: str, stdin: bytes | str | None = None) -> subprocess.CompletedProcess[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "sinkd", "validate", *arguments],
        input=data, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def quick(*arguments: str, stdin: str | None = None) -> tuple[int, str]:
    """Run the command in this process; its return value is the exit code."""
    result = CliRunner().invoke(sinkd, ["validate", *arguments], input=stdin, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "jobs.yaml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def test_a_good_file_takes_one_line(file):
    path = file(ONE + JOB.format(name="pong") + "    enabled: false\n")
    assert quick(path) == (0, f"{path}: ok, 2 jobs (1 enabled), 96 runs a day\n")
    assert quick(file(ONE)) == (0, f"{path}: ok, 1 job, 96 runs a day\n")
    assert quick(file("version: 1\njobs: []\n")) == (0, f"{path}: ok, 0 jobs, 0 runs a day\n")
    weekly = ONE.replace("interval_minutes: 15", 'at: "09:00", timezone: UTC, days: [mon]')
    assert quick(file(weekly)) == (0, f"{path}: ok, 1 job, 0.1 runs a day\n")
    assert quick("-q", path) == (0, "")


def test_needed_secrets_are_named_and_never_looked_up(file):
    text = ONE.replace(
        'ping"}', 'ping", headers: {A: "${env:TOKEN} ${file:b}", B: "${env:TOKEN}${env:ID}"}}'
    )
    assert quick(file(text))[1].splitlines()[1:] == [
        "needs 2 environment names: ID, TOKEN",
        "needs 1 secret file: b",
    ]


def test_errors_exit_1_and_warnings_0_unless_strict(file):
    wrong, doubtful = file("version: 2\njobs: []\n", "wrong"), file(ONE.replace("15", "7"), "doubt")
    assert quick(wrong)[0] == 1
    assert quick(doubtful)[0] == 0
    code, output = quick("--strict", doubtful)
    assert code == 1
    assert output.startswith("error[SNK302]")


def test_several_files_are_all_checked(file):
    good, wrong = file(ONE, "good.yaml"), file("version: 2\njobs: []\n", "wrong.yaml")
    code, output = quick("-o", "concise", good, wrong)
    assert code == 1
    assert output.splitlines() == [
        f"{good}: ok, 1 job, 96 runs a day",
        f"{wrong}:1:10: error[SNK105] `version` must be 1 (this sinkd reads format version 1)",
    ]


def test_the_default_is_the_configured_file(file, monkeypatch, tmp_path):
    path = file(ONE)
    monkeypatch.chdir(tmp_path)
    assert quick() == (0, "jobs.yaml: ok, 1 job, 96 runs a day\n")
    monkeypatch.chdir("/")
    assert quick("--config", path)[0] == 0


def test_standard_input_is_a_dash():
    assert quick("-", stdin=ONE) == (0, "-: ok, 1 job, 96 runs a day\n")
    assert validate("-", stdin="version: 2\njobs: []\n").returncode == 1


def test_json_is_the_declared_shape(file):
    good, wrong = file(ONE, "good.yaml"), file("version: '1'\njobs: []\n", "wrong.yaml")
    code, output = quick("-o", "json", good, wrong)
    assert code == 1
    found = json.loads(output)
    assert found["files"] == [good, wrong]
    assert found["summary"] == {"errors": 1, "warnings": 0, "fixable": 1}
    assert found["diagnostics"][0]["path"] == wrong
    assert found["diagnostics"][0]["fix"]["text"] == "1"


def test_a_file_that_cannot_be_read_exits_2_and_the_others_are_checked(file, tmp_path):
    done = validate(str(tmp_path / "nothing.yaml"), str(tmp_path), file(ONE))
    assert done.returncode == 2
    assert done.stdout.count("ok") == 1
    assert done.stderr.splitlines() == [
        f"sinkd: {tmp_path}/nothing.yaml: no such file; name the jobs file, as in `--config jobs.yaml`",
        f"sinkd: {tmp_path} is a directory; a jobs file is a regular file",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")
def test_a_file_that_another_user_cannot_read_exits_2(file):
    path = file(ONE)
    Path(path).chmod(0o600)
    Path(path).parent.chmod(0o755)
    script = (
        "import os, sys; from sinkd.cli import main; import sinkd.commands.validate\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "validate", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"sinkd: {path} cannot be read: permission denied\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "SNK002"), ("\x00", "SNK005"), ("not: [yaml", "SNK001"), ("[]", "SNK111"),
        ("version: 1\njobs: {}\n", "SNK111"), ("version: 1\njobs: []\nextra: 1\n", "SNK101"),
        ("version: one\njobs: 5\n", "SNK105"),
    ],
)  # fmt: skip
def test_bad_input_is_never_a_traceback(text, words):
    done = validate("-", stdin=text)
    assert done.returncode == 1
    assert words in done.stdout
    assert done.stderr == ""


def test_thirty_mistakes_in_a_hundred_jobs_are_thirty_findings_at_their_places(file):
    mistakes = ["interval_minutes: 15m", "intervall_minutes: 15", "interval_minutes: 0"]
    lines = ["version: 1", "jobs:"]
    expected = []
    for number in range(100):
        wrong = number % 10 == 7 or number >= 80
        schedule = mistakes[number % 3] if wrong else "interval_minutes: 15"
        lines.append(f"  - name: job-{number}")
        lines.append(f"    schedule: {{{schedule}}}")
        lines.append(f"    request: {{url: https://api.example.com/{number}}}")
        if wrong:
            column = 16 if number % 3 == 1 else 34
            expected.append((len(lines) - 1, column, f"job-{number}"))
    code, output = quick("-o", "json", file("\n".join(lines)))
    found = json.loads(output)["diagnostics"]
    assert code == 1
    assert len(expected) == 28
    assert [
        (d["range"]["start"]["line"], d["range"]["start"]["column"], d["job"]) for d in found
    ] == expected
    assert all(d["label"] for d in found)


def test_the_text_of_a_finding(file):
    path = file(ONE.replace("15", "24h"))
    assert quick(path)[1].replace(path, "jobs.yaml") == snapshot("""\
error[SNK104]: `interval_minutes` must be a whole number of minutes
 --> jobs.yaml:4:34
  |
3 |   - name: ping
4 |     schedule: {interval_minutes: 24h}
  |                                  ^^^ write 1440 (minutes)

jobs.yaml: 1 error. 1 can be fixed with `sinkd validate --fix`.
""")


@pytest.mark.parametrize("text", [ONE, "version: 2\njobs: 5\n", "not: [yaml"])
def test_validate_never_loads_what_it_does_not_need(file, text):
    script = (
        "import sys; from sinkd.cli import main\n"
        "try: main()\n"
        "finally:\n"
        " heavy = {'httpx', 'structlog', 'rich', 'uvicorn', 'starlette', 'asyncio', 'jinja2'}\n"
        " print('LOADED', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "validate", file(text)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "LOADED []"
