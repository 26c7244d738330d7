"""`validate --fix`: what is certain is repaired, what is guessed is not, and nothing else changes."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from sinkd import document, fix, source
from sinkd.cli import sinkd
from sinkd.commands.validate_fix import unified

CORPUS = Path(__file__).parent / "corpus"
SEEDS = [
    path.read_bytes() for path in sorted(CORPUS.glob("*/*.yaml")) if path.stat().st_size < 5000
]
JOB = """\
version: 1
jobs:
  - name: ping
    schedule: {interval_minutes: 15}
    request: {url: https://api.example.com/ping}
"""


def run(*arguments: str, stdin: bytes | None = None):
    """Run the command in this process; its return value is the exit code."""
    runner = CliRunner()
    result = runner.invoke(sinkd, ["validate", *arguments], input=stdin, standalone_mode=False)
    assert result.exception is None, result.exception
    return result


def fixed(text: str, *, unsafe: bool = False) -> str:
    return fix.repair(text.encode(), unsafe=unsafe).data.decode()


@pytest.fixture
def fifteen(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_bytes((CORPUS / "bad" / "fifteen.yaml").read_bytes())
    return path


def test_of_fifteen_mistakes_the_certain_ones_are_repaired_and_nothing_else_is_touched(fifteen):
    before = fifteen.read_text()
    result = run("--diff", str(fifteen))
    assert result.return_value == 1
    assert fifteen.read_text() == before
    lines = result.stdout.splitlines()
    assert [
        line for line in lines if line[:1] in "-+" and line[:3] not in {"---", "+++"}
    ] == snapshot(
        [
            "-  timeout_seconds: 1m",
            "+  timeout_seconds: 60",
            "-    schedule: {intervall_minutes: 15}",
            "-    request: {url: api.example.com, method: post}",
            "-    enabled: yes",
            "+    schedule: {interval_minutes: 15}",
            "+    request: {url: api.example.com, method: POST}",
            "+    enabled: true",
            "-    schedule: {at: 9:00, timezone: europe/berlin, days: [monday]}",
            '+    schedule: {at: "09:00", timezone: Europe/Berlin, days: [mon]}',
            '-      headers: {Content-Length: 5, Authorization: "Bearer ${TOKEN}"}',
            '+      headers: {Content-Length: "5", Authorization: "Bearer ${TOKEN}"}',
            "-    schedule: {interval_minutes: 08}",
            "+    schedule: {interval_minutes: 8}",
        ]
    )
    result = run("--fix", "-o", "concise", str(fifteen))
    assert result.return_value == 1
    assert result.stderr == f"{fifteen}: 9 fixed, 9 remaining; `--unsafe-fixes` guesses 4 of them\n"
    after = fifteen.read_text()
    assert unified(str(fifteen), before.encode(), after.encode()) == "\n".join([*lines, ""])
    assert len(result.stdout.splitlines()) == 9


def test_a_diff_can_be_applied(fifteen, program):
    fifteen.write_bytes(fifteen.read_bytes().rstrip(b"\n"))
    diff = run("--diff", str(fifteen)).stdout
    done = subprocess.run(
        [program("patch"), "--silent", str(fifteen)],
        input=diff.encode(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")
    assert run("--diff", str(fifteen)).stdout == ""


def test_guesses_are_made_only_when_asked_for(fifteen):
    run("--fix", str(fifteen))
    guesses = "name: Refresh Cache", "url: api.example.com,", "${TOKEN}", "Team: shop"
    assert all(guess in fifteen.read_text() for guess in guesses)
    run("--unsafe-fixes", str(fifteen))
    assert not any(guess in fifteen.read_text() for guess in guesses)


def test_a_file_without_mistakes_is_not_written(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(JOB)
    before = path.stat()
    assert run("--fix", str(path)).return_value == 0
    assert path.stat().st_ino == before.st_ino
    assert run("--diff", str(path)).return_value == 0


def test_comments_quotes_line_breaks_and_the_byte_order_mark_stay(tmp_path):
    text = "\ufeff" + JOB.replace("15}", "'15'} # é “15”").replace("\n", "\r\n")
    assert fixed(text) == text.replace("'15'", "15")
    path = tmp_path / "jobs.yaml"
    path.write_bytes(text.encode())
    run("--fix", str(path))
    assert path.read_bytes() == text.replace("'15'", "15").encode()


def test_standard_input_is_repaired_to_standard_output():
    data = JOB.replace("15", "24h").replace("\n", "\r\n").encode()
    result = run("--fix", "-", stdin=data)
    assert result.return_value == 0
    assert result.stdout_bytes == data.replace(b"24h", b"1440")
    assert result.stderr == snapshot("""\
-: 1 fixed, 0 remaining
-: ok, 1 job, 1 run a day
""")


def test_a_repair_that_shows_another_mistake_is_followed_by_its_repair():
    text = JOB.replace("    schedule", "     schedule").replace(
        "interval_minutes: 15", "every: 24h"
    )
    assert fixed(text) == JOB.replace("15", "1440")


def test_a_number_without_its_unit_is_only_guessed():
    text = JOB.replace("interval_minutes: 15", "every: 24")
    assert fixed(text) == text
    assert fixed(text, unsafe=True) == JOB.replace("15", "24")


def test_what_stands_on_several_lines_is_left_to_its_author():
    text = JOB.replace("{interval_minutes: 15}", "\n      interval_minutes: '15\n\n        '")
    assert fixed(text) == text
    assert all(found.fix is None for found in source.load(text.encode()).diagnostics)


def test_a_silenced_warning_is_not_repaired():
    text = JOB.replace("15}", "15, start_minute: 20}  # sinkd: ignore[SNK304]")
    assert fixed(text) == text
    assert fixed(text.replace("SNK304", "SNK301")) == text.replace("20", "5").replace(
        "SNK304", "SNK301"
    )


def test_a_repair_ends_after_a_hundred_passes():
    broken = "".join(f"x-{n}:\n  - a: 1\n     b: 2\n" for n in range(fix.PASSES_LIMIT + 5))
    repaired = fix.repair(broken.encode(), unsafe=False)
    assert repaired.fixed == fix.PASSES_LIMIT
    assert fix.repair(repaired.data, unsafe=False).fixed == 5


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "jobs.yaml"
    path.write_text(JOB.replace("15", "24h"))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source.os, "fsync", full)
    result = run("--fix", str(path))
    assert result.return_value == 2
    assert "cannot be written: no space left on device" in result.stderr
    assert path.read_text() == JOB.replace("15", "24h")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_diff_shows_three_lines_around_and_joins_what_is_near():
    old = "".join(f"{n}\n" for n in range(30))
    new = (
        old.replace("\n5\n", "\nfive\n")
        .replace("\n11\n", "\neleven\n")
        .replace("\n29\n", "\n29x\n")
    )
    assert unified("jobs.yaml", old.encode(), new.encode()) == snapshot("""\
--- jobs.yaml
+++ jobs.yaml
@@ -3,13 +3,13 @@
 2
 3
 4
-5
+five
 6
 7
 8
 9
 10
-11
+eleven
 12
 13
 14
@@ -27,4 +27,4 @@
 26
 27
 28
-29
+29x
""")
    assert unified("a\nb", b"1", b"2").splitlines()[0] == "--- a\ufffdb"


@st.composite
def broken_files(draw) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    pieces = [
        b" ",
        b"  ",
        b"'",
        b'"',
        b"yes",
        b"24h",
        b"08",
        b"010",
        b": ",
        b"Post",
        b"\n",
        b"\r",
        b"\xc2\xa0",
        b"# c\n",
        b"{",
        b"]",
        b"name",
        b"true",
        b"~",
        b"\\",
        b"&a ",
        b"A b",
    ]
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 6))] = draw(st.sampled_from(pieces))
    return bytes(data)


@given(broken_files(), st.booleans())
@settings(max_examples=150)
def test_a_second_repair_finds_nothing_and_no_file_loses_its_yaml(data, unsafe):
    repaired = fix.repair(data, unsafe=unsafe)
    assert fix.repair(repaired.data, unsafe=unsafe).data == repaired.data
    assert (repaired.data == data) == (repaired.fixed == 0)
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    after = repaired.data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if document.read(text).finished:
        assert document.read(after).finished
    assert len(document.Document(after).lines) == len(document.Document(text).lines)
    errors = [found.code for found in source.load(data).diagnostics if found.severity == "error"]
    new = [found for found in repaired.loaded.diagnostics if found.severity == "error"]
    covers = {"SNK001", "SNK005", "SNK101", "SNK108", "SNK111"}  # their repair shows what is below
    assert covers & set(errors) or len(new) <= len(errors)


@pytest.mark.parametrize(
    "path", sorted((CORPUS / "bad").glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_repaired_file_of_the_corpus_stays_as_it_is(path):
    for unsafe in (False, True):
        repaired = fix.repair(path.read_bytes(), unsafe=unsafe)
        assert fix.repair(repaired.data, unsafe=unsafe).fixed == 0


def test_validate_without_fixes_does_not_load_them(tmp_path):
    (tmp_path / "jobs.yaml").write_text(JOB)
    script = "import sys; from sinkd.cli import main\ntry: main()\nfinally: print('sinkd.fix' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, "validate", str(tmp_path / "jobs.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "False"


def test_a_repair_that_would_break_the_yaml_is_not_made():
    text = JOB.replace("ping\n", "a:\u00a0b\n", 1)
    assert [found.fix is not None for found in source.load(text.encode()).diagnostics] == [True]
    assert fixed(text) == text
    indented = JOB.replace("  - name", "\u00a0 - name")
    assert [found.fix for found in source.load(indented.encode()).diagnostics] == [None]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("schedule: {interval_minutes:15}", "schedule: {interval_minutes: 15}"),
        ("schedule {interval_minutes: 15}", "schedule: {interval_minutes: 15}"),
        ("{url:https://api.example.com/ping}", "{url: https://api.example.com/ping}"),
    ],
)
def test_a_key_without_its_colon_and_blank_keeps_its_value(wrong, right):
    assert fixed(JOB.replace(right, wrong)) == JOB


@pytest.mark.parametrize("mark", ["-name", "\u2013 name", "\u2022 name", "* name"])
def test_an_item_whose_mark_is_wrong_is_not_indented_anew(mark):
    text = JOB.replace("- name", mark)
    assert fixed(text, unsafe=True) == text


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("interval_hours: 2", "interval_minutes: 120"),
        ("interval_seconds: 120", "interval_minutes: 2"),
        ("interval_seconds: 90", None),
        ("interval_hours: two", None),
    ],
)
def test_a_field_in_another_unit_is_converted_or_left_alone(field, meant):
    text = JOB.replace("interval_minutes: 15", field)
    assert fixed(text) == text
    wanted = JOB.replace("interval_minutes: 15", meant) if meant else text
    assert fixed(text, unsafe=True) == wanted


@pytest.mark.parametrize("zone", ["GMT+1", "UTC+2", "utc-05:00", "+02:00"])
def test_an_offset_is_never_taken_for_a_zone_of_the_opposite_sign(zone):
    text = JOB.replace("interval_minutes: 15", f"at: '09:00', timezone: {zone}")
    assert fixed(text, unsafe=True) == text


def test_several_days_written_as_one_stay_several_and_a_guessed_day_is_no_certain_one():
    text = JOB.replace("interval_minutes: 15", "at: '09:00', timezone: UTC, days: [mon-wed, Month]")
    assert "days: [mon, tue, wed, Month]" in fixed(text)
    assert "days: [mon, tue, wed, mon]" in fixed(text, unsafe=True)


def test_a_method_that_resembles_another_is_not_taken_for_it():
    text = JOB.replace("/ping}", "/ping, method: FETCH}")
    assert fixed(text, unsafe=True) == text
    assert "method: POST}" in fixed(text.replace("FETCH", "PSOT"))


@pytest.mark.parametrize("indent", [" ", "   "])
def test_an_item_between_two_indents_is_put_where_it_can_be_read(indent):
    item = JOB[JOB.index("  - name") :].replace("ping", "pong")
    wrong = "".join(indent + line.removeprefix("  ") for line in item.splitlines(keepends=True))
    assert fixed(JOB + wrong) == JOB + item
