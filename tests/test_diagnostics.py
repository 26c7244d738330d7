"""One object per finding and its texts: terminal, concise, JSON."""

from inline_snapshot import snapshot

from sinkd import diagnostics
from sinkd.diagnostics import Counts, Diagnostic, Edit, Related, Span

TEXT = "version: 1\njobs:\n  - name: ping\n    a: 1\n    b: 2\n    c: 3\n"
FOUND = Diagnostic(
    "SNK304",
    "`c` is odd",
    Span(6, 8, 6, 9),
    "write 4",
    ("numbers are even",),
    (Related(Span(4, 8, 4, 9), "because of this"),),
    job="ping",
    fix=Edit(Span(6, 8, 6, 9), "4"),
    context=3,
    severity="warning",
)


def shown(*found: Diagnostic, text: str = TEXT, color: bool = False) -> str:
    return diagnostics.as_text("jobs.yaml", text, found, color=color)


def test_a_diagnostic_is_shown_with_its_lines_and_a_summary():
    assert shown(FOUND) == snapshot("""\
warning[SNK304]: `c` is odd
 --> jobs.yaml:6:8
  |
3 |   - name: ping
4 |     a: 1
  |        - because of this
5 |     b: 2
6 |     c: 3
  |        ^ write 4
  |
  = help: numbers are even

jobs.yaml: 0 errors, 1 warning. 1 can be fixed with `sinkd validate --fix`.\
""")


def test_colour_is_the_severitys_and_the_gutter_is_blue():
    text = shown(FOUND, color=True)
    assert "\x1b[1;33mwarning[SNK304]\x1b[0m" in text
    assert "\x1b[1;33m^ write 4\x1b[0m" in text
    assert "\x1b[34m6 |\x1b[0m     c: 3" in text
    assert "\x1b[1;31merror[SNK304]" in shown(*diagnostics.strict([FOUND]), color=True)


def test_a_caret_stands_below_wide_and_combining_characters():
    text = "日本e\u0301: x\n"
    found = Diagnostic("SNK101", "message", Span(1, 7, 1, 8), "here")
    lines = shown(found, text=text).splitlines()
    assert lines[3:5] == ["1 | 日本e\u0301: x", "  |        ^ here"]


def test_a_file_cannot_write_to_the_terminal():
    text = "a: \x1b[2J\tb\u202e\x07\n"
    found = Diagnostic("SNK005", "message", Span(1, 4, 1, 5), "here")
    assert shown(found, text=text).splitlines()[3] == "1 | a: \ufffd[2J→b\ufffd\ufffd"
    assert diagnostics.quoted("a\nb\x1b") == "`a\ufffdb\ufffd`"
    assert diagnostics.as_text("a\nb", text, [found], color=False).count("a\ufffdb") == 2


def test_a_quoted_text_is_short():
    assert diagnostics.quoted("a" * 60) == f"`{'a' * 60}`"
    assert diagnostics.quoted("a" * 61) == f"`{'a' * 59}…`"


def test_a_long_line_is_cut_round_the_place():
    text = "a" * 500 + "X" + "b" * 500
    found = Diagnostic("SNK101", "message", Span(1, 501, 1, 502), "here")
    line, marks = shown(found, text=text).splitlines()[3:5]
    assert line.startswith("1 | …aaa")
    assert line.endswith("bbb…")
    assert len(line) == len("1 | ") + 160
    assert line[marks.index("^")] == "X"


def test_a_span_over_several_lines_is_marked_on_its_first():
    found = Diagnostic("SNK101", "message", Span(4, 5, 6, 3), "here")
    assert shown(found).splitlines()[3:5] == ["4 |     a: 1", "  |     ^^^^ here"]


def test_a_span_at_the_end_of_the_file_is_shown():
    found = Diagnostic("SNK101", "message", Span(7, 1, 7, 1), "here")
    assert shown(found).splitlines()[3:5] == ["7 |", "  | ^ here"]


def test_the_summary_counts():
    error = Diagnostic("SNK101", "message", Span(1, 1, 1, 2))
    unsafe = Diagnostic("SNK107", "", Span(1, 1, 1, 2), fix=Edit(Span(1, 1, 1, 2), "", safe=False))
    assert diagnostics.count([error, unsafe, FOUND]) == Counts(errors=2, warnings=1, fixable=1)
    assert diagnostics.summary("f", [error]) == "f: 1 error"
    assert diagnostics.summary("f", [error, unsafe]) == "f: 2 errors"
    assert diagnostics.summary("f", [error] * 1000 + [FOUND] * 2) == (
        "f: 1,000 errors, 2 warnings. 2 can be fixed with `sinkd validate --fix`."
    )


def test_concise_is_a_line_each():
    error = Diagnostic("SNK102", "the file has no `jobs`", Span(1, 1, 1, 2))
    assert diagnostics.as_concise("a.yaml", [error, FOUND]) == (
        "a.yaml:1:1: error[SNK102] the file has no `jobs`\n"
        "a.yaml:6:8: warning[SNK304] `c` is odd (write 4)"
    )


def test_json_is_the_declared_shape():
    assert diagnostics.as_json({"a.yaml": [], "b.yaml": [FOUND]}) == {
        "files": ["a.yaml", "b.yaml"],
        "diagnostics": [
            {
                "code": "SNK304",
                "severity": "warning",
                "message": "`c` is odd",
                "label": "write 4",
                "path": "b.yaml",
                "job": "ping",
                "range": {"start": {"line": 6, "column": 8}, "end": {"line": 6, "column": 9}},
                "help": ["numbers are even"],
                "related": [
                    {
                        "range": {
                            "start": {"line": 4, "column": 8},
                            "end": {"line": 4, "column": 9},
                        },
                        "label": "because of this",
                    }
                ],
                "fix": {
                    "range": {"start": {"line": 6, "column": 8}, "end": {"line": 6, "column": 9}},
                    "text": "4",
                    "safe": True,
                },
            }
        ],
        "summary": {"errors": 0, "warnings": 1, "fixable": 1},
    }


def test_every_rule_has_the_severity_of_its_hundred():
    for code, rule in diagnostics.RULES.items():
        assert rule.severity == ("warning" if code[3] in "23" else "error"), code
