"""The redactor: every form of a value, and what looks like a credential."""

import base64
import io
import json
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinkd.redaction import (
    HIDDEN,
    REDACTED,
    RedactedStream,
    Redactor,
    is_credential,
    printable,
)

FORMS = [
    str,
    lambda value: base64.b64encode(value.encode()).decode(),
    lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    lambda value: quote(value, safe=""),
    quote,
    lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
    quote_plus,
    lambda value: json.dumps(value)[1:-1],
    lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    lambda value: repr(value.encode())[2:-1],
    repr,
    lambda value: printable(value.encode()),
    lambda value: repr(value.encode() + b"'\"")[2:-4],
    lambda value: repr(repr(value.encode()))[3:-2],
    lambda value: repr((value, value.encode())),
    lambda value: json.dumps(json.dumps(value))[3:-3],
    lambda value: repr(f"both ' and \" {value}"),
    lambda value: json.dumps({"said": repr(value.encode())}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "value", ["s3cr3t-value", "p/a+s s?w", 'q"uo\\te', "two\nlines", "pässword", "bé'\\x"]
)
def test_a_known_value_is_gone_in_every_form_that_programs_quote_it_in(value, form):
    redactor = Redactor()
    redactor.learn("another one")
    redactor.learn(value)
    assert form(value).strip("'\"") not in redactor.redact(f"before {form(value)} after")
    assert redactor.redact(f"before {form(value)} after").startswith("before ")


@given(st.text(min_size=4), st.text(), st.text())
def test_no_known_value_is_ever_in_what_comes_out(value, before, after):
    redactor = Redactor()
    redactor.learn(value)
    out = redactor.redact(before + value + after)
    assert value not in out or value in REDACTED or value in redactor.redact(before + after)


def test_of_values_that_hold_each_other_the_longest_goes():
    redactor = Redactor()
    redactor.learn("abc")
    redactor.learn("abcdef")
    assert redactor.redact("x abcdef abc") == f"x {REDACTED} {REDACTED}"


def test_a_secret_that_reads_like_the_mask_does_not_break_it():
    redactor = Redactor()
    for value in ("redacted", "a", "[", "password"):
        redactor.learn(value)
    assert redactor.redact("x password y") == f"x {REDACTED} y"


def test_without_a_known_value_a_plain_text_stays_as_it_is():
    text = "connect: ConnectionRefusedError, ECONNREFUSED (refresh-cache@2026-11-23T09:00Z)"
    redactor = Redactor()
    redactor.learn("")
    assert redactor.redact(text) == text


def test_what_looks_like_a_credential_is_gone_without_being_known():
    redact = Redactor().redact
    assert redact("GET http://u:p@h/p?a=1&b=2 failed") == (
        f"GET http://{REDACTED}@h/p?a={REDACTED}&b={REDACTED} failed"
    )
    assert redact("sent: Authorization: Basic dTpw, twice") == f"sent: Authorization: {REDACTED}"
    assert redact("{'x-api-key': 'k'}\nnext line") == f"{{'x-api-key': {REDACTED}\nnext line"
    assert redact("access_token=abc") == f"access_token={REDACTED}"


@pytest.mark.parametrize(
    "name", ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Api-Key", "apikey",
             "X-Auth-Token", "client_secret", "X-Password"]
)  # fmt: skip
def test_of_a_credential_header_nothing_is_shown(name):
    assert is_credential(name)
    assert Redactor().header(name, "v") == REDACTED


@pytest.mark.parametrize("name", ["X-Session-Id", "Content-Type", "ETag", "X-Keyboard", "Age"])
def test_of_other_headers_only_secrets_are_hidden(name):
    redactor = Redactor()
    redactor.learn("s3cr3t")
    assert not is_credential(name)
    assert redactor.header(name, "a s3cr3t b") == f"a {REDACTED} b"


@pytest.mark.parametrize(
    "text", ["a-", "?", "a://", "a", "&a", "a:", " ", "token", "token ", "'", "\\x00", "secret-"]
)
def test_no_answer_of_64_kib_takes_long_to_search(text):
    redactor = Redactor()
    for number in range(100):
        redactor.learn(f"secret-{number}-value")
    started = time.process_time()
    redactor.redact((text * 65_536)[:65_536])
    assert time.process_time() - started < 1


def test_nothing_known_is_written_to_a_redacted_stream():
    out, redactor = io.StringIO(), Redactor()
    stream = RedactedStream(out, redactor)
    redactor.learn("s3cr3t\nvalue")
    assert stream.write("before s3cr3t\nvalue\n") == 20
    stream.writelines(["one\n", "s3cr3t\\nvalue\n"])
    stream.flush()
    assert out.getvalue() == f"before {REDACTED}\none\n{REDACTED}\n"
    assert stream.isatty() is False


def test_a_redacted_stream_in_the_place_of_another_redacts_once():
    out, first, second = io.StringIO(), Redactor(), Redactor()
    first.learn("first")
    stream = RedactedStream(RedactedStream(out, first), second)
    second.learn("second")
    stream.write("first second")
    assert out.getvalue() == f"first {REDACTED}"


def test_the_repr_of_a_redactor_shows_nothing():
    redactor = Redactor()
    redactor.learn("s3cr3t")
    assert repr(redactor) == HIDDEN == "<secret ref>"
