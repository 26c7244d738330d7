"""Untrusted text on a terminal: harmless, and aligned."""

import io
import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from sinkd.terminal import align, escape, json_text, show


def test_printable_ascii_and_letters_stay():
    assert escape("GET /a?b=`~ Grüße Ωμέγα 日本 42") == "GET /a?b=`~ Grüße Ωμέγα 日本 42"


def test_what_could_move_the_cursor_or_reverse_the_text_is_shown_as_its_code():
    assert escape("\x1b[2J\a\r\n\t\x7f") == r"\x1b[2J\x07\x0d\x0a\x09\x7f"
    assert escape("\x9b31m\u202egnp.exe\u2066\u200b") == r"\x9b31m\u{202e}gnp.exe\u{2066}\u{200b}"
    assert escape("\ud800") == r"\u{d800}"


@given(st.text(st.characters()))
def test_no_control_format_surrogate_or_separator_is_left(text):
    kinds = {unicodedata.category(char) for char in escape(text).replace(" ", "")}
    assert not {kind for kind in kinds if kind[0] in "CZ"}


def test_json_is_printable_ascii_and_says_the_same():
    answer = {"label": "caf\xe9 \u202e \x7f \x1b", "count": 1}
    text = json_text(answer)
    assert json.loads(text) == answer
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_columns_are_aligned_by_what_a_terminal_shows():
    assert align([("日本", "1"), ("a", "22")], "<>") == ["日本   1", "a     22"]
    assert align([], "<") == []


def test_an_encoding_without_bars_gets_question_marks(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    show(["▇ 1"], color=False)
    assert stdout.buffer.getvalue().split() == [b"?", b"1"]
