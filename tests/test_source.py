"""Reading jobs.yaml: the corpus, the YAML that is accepted, defaults, limits, and never a crash."""

import functools
import gc
import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinkd import diagnostics, document, jobsfile, source
from sinkd.diagnostics import Diagnostic, Span
from sinkd.errors import UsageError
from sinkd.spec import Daily, Interval, Job

CORPUS = Path(__file__).parent / "corpus"
GOOD = sorted((CORPUS / "good").glob("*.yaml"))
BAD = sorted((CORPUS / "bad").glob("*.yaml"))
JOB = """\
version: 1
jobs:
  - name: ping
    schedule: {interval_minutes: 15}
    request: {url: https://api.example.com/ping}
"""


def codes(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [found.code for found in source.load(data).diagnostics]


@functools.cache
def loaded_from(path: Path) -> source.Loaded:
    """Load a file of the corpus, once for all tests."""
    return source.load(path.read_bytes())


def job(text: str, name: str = "ping") -> Job:
    loaded = source.load(text.encode())
    assert loaded.spec, [found.message for found in loaded.diagnostics]
    return loaded.spec.jobs[name]


def with_job(**fields: str) -> str:
    return JOB + "".join(f"    {name}: {value}\n" for name, value in fields.items())


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_is_accepted_without_a_word(path):
    loaded = loaded_from(path)
    assert loaded.diagnostics == ()
    assert loaded.spec is not None


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_explained_as_expected(path):
    data = path.read_bytes()
    found = loaded_from(path).diagnostics
    text = diagnostics.as_text(path.name, data.decode("utf-8-sig", "replace"), found, color=False)
    assert text + "\n" == path.with_suffix(".txt").read_text(encoding="utf-8")


def test_the_corpus_has_a_hundred_and_fifty_bad_files_and_the_words_for_each():
    assert len(BAD) >= 150
    assert {path.stem for path in BAD} == {path.stem for path in (CORPUS / "bad").glob("*.txt")}


def test_every_rule_has_a_bad_file():
    found = {found.code for path in BAD for found in loaded_from(path).diagnostics}
    assert found == set(diagnostics.RULES)


def test_there_is_a_spec_exactly_when_nothing_is_an_error():
    for path in [*GOOD, *BAD]:
        loaded = loaded_from(path)
        errors = [found for found in loaded.diagnostics if found.severity == "error"]
        assert (loaded.spec is None) == bool(errors), path.name


def test_the_revision_is_the_digest_of_the_bytes():
    spec = source.load(JOB.encode()).spec
    assert spec
    assert spec.revision == hashlib.sha256(JOB.encode()).hexdigest()
    assert list(spec.jobs) == ["ping"]


def test_a_job_has_the_defaults_of_the_format():
    ping = job(JOB)
    assert ping.schedule == Interval(15, 0)
    assert (ping.request.method, ping.request.headers, ping.request.body) == ("POST", (), None)
    assert (ping.timeout_seconds, ping.catch_up_seconds, ping.enabled) == (60, 450, True)
    assert job(JOB.replace("15", "1")).timeout_seconds == 50
    assert job(JOB.replace("15", "1440")).catch_up_seconds == 3600


def test_defaults_merge_and_null_drops_them():
    text = (CORPUS / "good" / "defaults.yaml").read_text()
    inherits, overrides = job(text, "inherits"), job(text, "overrides")
    assert (inherits.timeout_seconds, inherits.catch_up_seconds) == (20, 180)
    assert inherits.signing_secret == "${env:KEY}"
    assert inherits.capture_headers == ("x-request-id",)
    assert inherits.labels == (("team", "shop"), ("tier", "1"))
    assert inherits.request.headers == (("X-A", "1"), ("X-B", "2"))
    assert (overrides.timeout_seconds, overrides.catch_up_seconds) == (5, 60)
    assert overrides.signing_secret == "${file:new} ${file:old}"
    assert overrides.capture_headers == ("x-session-id",)
    assert overrides.labels == (("team", "shop"), ("tier", "2"), ("extra", "x"))
    assert overrides.request.headers == (("x-a", "3"), ("X-B", "2"), ("X-C", "4"))
    drops, drops_all = job(text, "drops"), job(text, "drops-all")
    assert (drops.timeout_seconds, drops.catch_up_seconds) == (50, 30)
    assert (drops.signing_secret, drops.capture_headers) == (None, ())
    assert drops.labels == (("tier", "1"),)
    assert drops.request.headers == (("X-B", "2"),)
    assert (drops_all.labels, drops_all.request.headers) == ((), ())


def test_the_catch_up_window_is_never_below_five_seconds():  # T3
    assert job(with_job(catch_up_minutes="0")).catch_up_seconds == 5


def test_times_are_sorted_and_distinct_and_days_in_the_order_of_the_week():
    text = (CORPUS / "good" / "daily.yaml").read_text()
    assert job(text, "a").schedule == Daily(("09:00",), "Europe/Berlin")
    assert job(text, "b").schedule == Daily(("08:00", "17:30"), "America/New_York", ("mon", "fri"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("NO", "NO"), ("on", "on"), ("y", "y"), ("True", True), ("FALSE", False),
        ("12:30", "12:30"), ("1:30:15", "1:30:15"), ("2026-11-23", "2026-11-23"), ("1_000", "1_000"),
        ("0b11", "0b11"), ("1e3", 1000.0), ("-0.5", -0.5), (".5", 0.5), ("12", 12), ("-7", -7),
        ("~", None), ("", None), ("null", None), ("Null", None), ("nul", "nul"), ("'1'", "1"),
        ("1e", "1e"), ("-", "-"), ("<<x", "<<x"), ("=", "="), ("12345678901234567890", 12345678901234567890),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_yaml_1_2_core_schema(written, value):
    found = document.read(f"key: {{inner: {written}\n}}" if written != "-" else "key: {inner: '-'}")
    assert found.problems == []
    assert found.data == {"key": {"inner": value}}
    assert type(found.data["key"]["inner"]) is type(value)


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 2", 'a: 1\n"a": 2', 'a: 1\n"\\x61": 2', "{x: {a: 1, 'a': 2}}", "- {a: 1, ? a : 2}"],
)
def test_a_duplicate_key_is_found_however_it_is_written(text):
    problem = document.read(text).problems[0]
    assert problem.code == "SNK003"
    assert problem.related[0].label == "first set here"


def test_a_job_keeps_the_first_of_two_values_until_the_duplicate_is_gone():
    assert document.read("a: {b: 1}\na: 2").data == {"a": {"b": 1}}


def test_too_many_problems_end_the_reading():
    text = "a: 1\n" * 2000
    found = source.load(text.encode()).diagnostics
    assert found[-1].code == "SNK006"
    assert len(found) == document.PROBLEMS_LIMIT + 1


def test_more_problems_than_anybody_reads_are_cut_and_the_file_stays_refused():
    text = "version: 1\njobs:\n" + "".join(f"  - {{name: J-{n}, x: 1}}\n" for n in range(3000))
    loaded = source.load(text.encode())
    assert loaded.spec is None
    assert loaded.diagnostics[-1].message == "the file has more than 1,000 problems"
    assert 500 < len(loaded.diagnostics) <= document.PROBLEMS_LIMIT + 1
    places = [found.span for found in loaded.diagnostics[:-1]]
    assert places == sorted(places)


def test_two_words_for_one_field_are_not_both_renamed():
    text = JOB.replace("url:", "uri: https://h/, endpoint:")
    found = source.load(text.encode()).diagnostics
    assert [found.fix is not None for found in found] == [True, False]


def test_warnings_never_hide_an_error():
    job = "  - {name: J, schedule: {interval_minutes: 7}, request: {url: https://h/}}\n"
    text = "version: 1\njobs:\n" + "".join(job.replace("J", f"j-{n}") for n in range(1500))
    loaded = source.load(text.encode())
    assert len(loaded.spec.jobs) == 1500
    assert len(loaded.diagnostics) == document.PROBLEMS_LIMIT + 1
    assert loaded.diagnostics[-1].message == "the file has more than 1,000 warnings"
    assert {found.severity for found in loaded.diagnostics} == {"warning"}
    loaded = source.load(f"{text}extra: 1\n".encode())
    assert loaded.spec is None
    assert "SNK101" in [found.code for found in loaded.diagnostics]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        pytest.param(
            "x-a: [" + "1," * 600_000 + "]", "SNK006", "the file has more than 250,000 parts, most of them tiny",
            marks=pytest.mark.slow,
        ),
        ("[" + "1," * 5000 + "]", "SNK006", "this list has more than 1,000 entries"),
        ("defaults: {" + "a: {}, b: {}, " * 5000, "SNK006", "the file has more than 1,000 duplicate keys"),
        ("\n" * 2_000_001, "SNK006", "the file has more than 2,000,000 lines"),
        ("version: 1\n? {a: 1}\n: 1\njobs: [" + "{}," * 60_000 + "]", "SNK109", "`jobs` has at most 50,000 entries"),
        ("".join(f"k{n}: 1\n" for n in range(5000)), "SNK006", "this mapping has more than 1,000 entries"),
    ],
    ids=range(6),
)  # fmt: skip
def test_a_text_that_grows_beyond_any_jobs_file_is_given_up_while_it_is_read(text, code, message):
    found = document.read(text)
    assert (found.problems[-1].code, found.problems[-1].message) == (code, message)
    assert len(found.values) < 600_000
    assert found.data is None


def test_a_body_and_keys_for_others_may_have_many_entries():
    items = "1," * 9000
    text = JOB.replace("url:", f"body: {{a: [{items}]}}, url:") + f"x-data: [{items}]\n"
    assert source.load(text.encode()).spec


def test_the_parts_that_a_file_may_have_grow_with_its_length(monkeypatch):
    monkeypatch.setattr(document, "PARTS_LIMIT", 10)
    text = "version: 1\njobs:\n" + "".join(f"- [{'1234567, ' * 80}]\n" for _ in range(500))
    assert document.read(text).finished
    assert not document.read(text.replace("1234567", "12345")).finished


@pytest.mark.parametrize("text", ["[" * 30_000, "{a: " * 30_000, "- " * 30_000])
def test_a_nest_bomb_is_refused(text):
    assert "SNK006" in codes(f"version: 1\njobs:\n  {text}")


def test_an_alias_bomb_is_refused_and_never_expanded():
    levels = "".join(f"x-{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    found = codes(f"x-0: &l0 [lol]\n{levels}version: 1\njobs: []\n")
    assert set(found) == {"SNK004"}


@pytest.mark.slow
def test_fifty_thousand_jobs_is_the_most():
    found = source.load(b"version: 1\njobs: [" + b"1," * 50_001 + b"]").diagnostics
    assert found[0].code == "SNK109"
    assert found[0].message == "`jobs` has at most 50,000 entries"
    assert "SNK109" not in codes(b"version: 1\njobs: [" + b"1," * 50_000 + b"]")


def test_a_body_of_a_mebibyte_is_accepted_and_one_byte_more_is_not():
    text = JOB.replace("url:", "headers: {Content-Type: text/plain}, body: BODY, url:")
    limit = jobsfile.BODY_LIMIT_BYTES
    assert codes(text.replace("BODY", "x" * limit)) == []
    assert codes(text.replace("BODY", "x" * (limit + 1))) == ["SNK116"]


@pytest.mark.parametrize("name", ["product", "all-shapes", "byte-order-mark-and-crlf"])
def test_a_byte_prefix_of_a_file_is_accepted_or_explained(name):
    data = (CORPUS / "good" / f"{name}.yaml").read_bytes()
    for end in range(len(data)):
        loaded = source.load(data[:end])
        assert loaded.spec or loaded.diagnostics
        text = data[:end].decode("utf-8-sig", "replace")
        shown = diagnostics.as_text("jobs.yaml", text, loaded.diagnostics, color=False)
        assert shown.count(" --> jobs.yaml:") == len(loaded.diagnostics)


def test_the_garbage_collector_runs_again_after_a_load():
    big = JOB + "#" * source.BIG_FILE_BYTES
    for text in (big, big + "\n- broken"):
        source.load(text.encode())
        assert gc.isenabled()


def test_a_comment_silences_a_warning_of_its_line_but_no_error():
    text = JOB.replace("15}", "7}  # sinkd: ignore[SNK301, SNK302]")
    assert codes(JOB.replace("15}", "7}")) == ["SNK302"]
    assert codes(text) == []
    assert codes(text.replace("SNK302", "SNK304")) == ["SNK302"]
    assert codes(text.replace(": 7}", ": 0}").replace("SNK302", "SNK109")) == ["SNK109"]


def test_problems_are_the_first_twenty_errors_as_an_event_shows_them():
    text = "version: 1\njobs: []\n" + "".join(f"key-{n}: 1\n" for n in range(30))
    found = source.problems(source.load(text.encode()).diagnostics)
    assert len(found) == 20
    assert found[0] == {
        "code": "SNK101", "line": 3, "column": 1, "message": "unknown field `key-0` in a jobs file",
    }  # fmt: skip
    warning = Diagnostic("SNK304", "", Span(1, 1, 1, 1), severity="warning")
    assert source.problems([warning]) == []


def test_messages_never_hold_a_secret():
    secret = "hunter2-canary"
    for fields in (
        {"signing_secret": secret},
        {"request": f"{{url: 'https://u:{secret}@h/'}}"},
        {"request": f"{{url: 'https://h/?token={secret}%'}}"},
        {"request": f"{{url: https://h/, headers: {{Authorization: '{secret} '}}}}"},
        {"request": f"{{url: https://h/, headers: {{Authorization: '{secret}'}}}}"},
        {"request": f"{{url: https://h/, headers: {{Authorization: '${{env:{secret} x}}'}}}}"},
    ):
        text = JOB.split("    request", maxsplit=1)[0] if "request" in fields else JOB
        text += "".join(f"    {name}: {value}\n" for name, value in fields.items())
        found = source.load(text.encode()).diagnostics
        assert found, fields
        for diagnostic in found:
            assert secret not in f"{diagnostic.message} {diagnostic.label} {diagnostic.help}"


def test_a_regular_file_is_read_through_a_link(tmp_path):
    (tmp_path / "real.yaml").write_bytes(b"version: 1\n")
    (tmp_path / "jobs.yaml").symlink_to("real.yaml")
    assert source.read(tmp_path / "jobs.yaml") == b"version: 1\n"


def test_a_file_is_not_called_empty_when_something_else_is_wrong_with_it():
    assert codes("") == ["SNK002"]
    assert codes("&nothing") == ["SNK004"]


def test_a_shape_that_no_rule_can_explain_still_refuses_the_file(monkeypatch):
    monkeypatch.setattr(source.rules, "check", lambda findings: None)
    loaded = source.load(JOB.replace("interval_minutes: 15", "at: 9:00").encode())
    assert loaded.spec is None
    assert [found.code for found in loaded.diagnostics] == ["SNK111"]


def test_what_is_no_file_is_refused_with_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(source.SIZE_LIMIT_BYTES + 1)
    for name, words in (
        ("nothing", "no such file"),
        (".", "is a directory"),
        ("fifo", "is a FIFO"),
        ("/dev/zero", "is a device"),
        ("big", "larger than 16 MiB"),
        ("loop", "cannot be read: too many levels of symbolic links$"),
        ("a" * 5000, "cannot be read: file name too long$"),
        ("big/x", "cannot be read: not a directory$"),
    ):
        path = tmp_path / name
        with pytest.raises(UsageError, match=words) as refused:
            source.read(path)
        assert str(refused.value).startswith(str(path))


def test_what_is_no_file_is_not_written_either(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, words in (
        ("fifo", "is a FIFO; a jobs file is a regular file"),
        (".", "is a directory; a jobs file is a regular file"),
        ("nothing", "cannot be written: no such file or directory"),
    ):
        with pytest.raises(UsageError) as refused:
            source.write(tmp_path / name, b"")
        assert str(refused.value) == f"{tmp_path / name} {words}"
    assert [each.name for each in tmp_path.iterdir()] == ["fifo"]


def test_a_file_of_exactly_the_limit_is_read(tmp_path):
    (tmp_path / "jobs.yaml").write_bytes(b"#" * source.SIZE_LIMIT_BYTES)
    assert len(source.read(tmp_path / "jobs.yaml")) == source.SIZE_LIMIT_BYTES


def test_a_byte_that_is_not_utf_8_is_found_after_a_byte_order_mark():
    found = source.load(b"\xef\xbb\xbfa: 1\nb: \x9c").diagnostics
    assert [(d.code, d.span.line, d.span.column) for d in found] == [("SNK005", 2, 4)]


FRAGMENTS = [
    *b"\t\n\r :-[]{}\"'#&*!|>%@`,?\x00\x85\xff09azTN~.",
    *(text.encode() for text in ("\u2028", "\u00a0", "\ufeff", "\u202e", "日", "e\u0301", "\ud7ff")),
    b"<<: *a", b"&a ", b"!!str ", b"? [a]\n: b", b"${", b"${env:", b"$${", b"\\ud800", b"\n---\n",
    b": {}", b": []", b": 5", b": ~", b"9" * 5000, b"0x1F", b"008", b".inf", b"name:", b"at: ", b"- name: ping\n", b"  ", b"null",
]  # fmt: skip
SEEDS = [path.read_bytes() for path in [*GOOD, *BAD] if path.stat().st_size < 3000]


@st.composite
def edited_files(draw) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 8))
        new = draw(st.sampled_from(FRAGMENTS))
        data[start:end] = bytes([new]) if isinstance(new, int) else new
    return bytes(data)


@given(edited_files() | st.binary(max_size=200))
@settings(max_examples=400, deadline=None)
def test_no_bytes_raise_and_every_renderer_can_show_what_is_wrong(data):
    loaded = source.load(data)
    text = data.decode("utf-8-sig", "replace")
    shown = diagnostics.as_text("jobs.yaml", text, loaded.diagnostics, color=False)
    assert all(character.isprintable() or character == "\n" for character in shown)
    diagnostics.as_concise("jobs.yaml", loaded.diagnostics)
    diagnostics.as_json({"jobs.yaml": loaded.diagnostics})
    lines = text.count("\n") + text.count("\r") + 1
    for found in loaded.diagnostics:
        assert 1 <= found.span.line <= found.span.end_line <= lines
        assert found.span[:2] <= found.span[2:]
    assert (loaded.spec is None) == any(d.severity == "error" for d in loaded.diagnostics)


def test_notify_says_whom_to_tell_and_of_what():
    first, second = source.load((CORPUS / "good" / "notify.yaml").read_bytes()).spec.notify
    assert (first.on, second.on) == (
        ("failure", "recovery"),
        ("failure", "recovery", "config_refused"),
    )
    assert first.headers == (("Authorization", "Bearer ${file:token}"),)
    assert [str(each) for each in first.references] == [
        "${env:TOKEN}",
        "${file:token}",
        "${env:KEY}",
    ]


# Writing the file


def test_the_mode_stays_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    real = tmp_path / "there" / "real.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "jobs.yaml"
    link.symlink_to("there/real.yaml")
    source.write(link, JOB.encode())
    assert link.is_symlink()
    assert real.read_text() == JOB
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["real.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user, which takes root")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(JOB)
    os.chown(path, 1234, 5678)
    source.write(path, b"version: 1\n")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_what_is_no_file_is_not_written(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, words in (
        ("fifo", "is a FIFO"),
        ("nothing", "cannot be written"),
        ("/dev/null", "is a device"),
    ):
        with pytest.raises(UsageError, match=words):
            source.write(tmp_path / name, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]
