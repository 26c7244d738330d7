"""The grammar of URLs, headers and references; what it accepts, httpx sends unchanged."""

import h11
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sinkd import grammar
from sinkd.grammar import Reference, Target

GOOD_URLS = {
    "https://api.example.com/v1": Target("https", "api.example.com", 443, "/v1"),
    "http://localhost": Target("http", "localhost", 80, "/"),
    "https://API.example.com:443/": Target("https", "API.example.com", 443, "/"),
    "https://h?a=b": Target("https", "h", 443, "/?a=b"),
    "https://h/?": Target("https", "h", 443, "/?"),
    "https://[2001:db8::1]:8443/x": Target("https", "2001:db8::1", 8443, "/x"),
    "http://127.0.0.1:8787/": Target("http", "127.0.0.1", 8787, "/"),
    "https://h:65535//a/.b/..c/...?d=/../e": Target("https", "h", 65535, "//a/.b/..c/...?d=/../e"),
    "https://h/%20%C3%A9?x=%26&y='()*!$,;:@": Target(
        "https", "h", 443, "/%20%C3%A9?x=%26&y='()*!$,;:@"
    ),
    "https://h/${env:A}/${file:b/c}?k=${env:K}": Target(
        "https", "h", 443, "/${env:A}/${file:b/c}?k=${env:K}"
    ),
}


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_good_url_has_no_flaw_and_leads_somewhere(url):
    assert grammar.url_flaw(url) is None
    assert grammar.target(url) == GOOD_URLS[url]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", ""), ("h/x", "h/x"), ("//h/x", "//h/x"), ("ftp://h/", "ftp"), ("HTTP://h/", "HTTP"),
        ("http:///x", "/"), ("http://?x", "?"), ("http://h:/", ""), ("http://h:0/", "0"),
        ("http://h:65536/", "65536"), ("http://h:080/", "080"), ("http://h:+80/", "+80"),
        ("http://u@h/", "u@"), ("http://u:p@h/", "u:p@"), ("http://h/#", "#"), ("http://h/#a", "#a"),
        ("http://h/a b", " "), ("http://h/\r\nX", "\r"), ("http://h/\ta", "\t"), ("http://h/\x00", "\x00"),
        ("http://h\n/", "h\n"), ("http://h/é", "é"), ("http://é/", "é"), ("http://1\uff11.0.0.1/", "1\uff11.0.0.1"),
        ("http://h/%", "%"), ("http://h/%g1", "%"), ("http://h/[", "["), ("http://h/|", "|"),
        ("http://h/\\", "\\"), ("http://h\\x/", "h\\x"), ("http://h/../x", ".."), ("http://h/.", "."),
        ("http://h/a/./b", "."), ("http://h/a/..", ".."), ("http://127.1/", "127.1"),
        ("http://2130706433/", "2130706433"), ("http://0x7f.1/", "0x7f.1"), ("http://0x7f000001/", "0x7f000001"),
        ("http://256.1.1.1/", "256.1.1.1"), ("http://01.1.1.1/", "01.1.1.1"), ("http://1.2.3.4.5/", "1.2.3.4.5"),
        ("http://[::1/", "["), ("http://[::1%25lo]/", "[::1%25lo]"), ("http://[x]/", "[x]"),
        ("http://a..b/", "a..b"), ("http://" + "a" * 64 + "/", "a" * 64), ("http://-/ a", " "), ("http://h/ ", "http://h/ "),
        ("<http://h/>", "<http://h/>"), ("https:/h/a", "https:/"),
        ("http://${env:A}/", "${env:A}"), ("http://h:${env:A}/", "h:${env:A}"),
        ("${env:A}://h/", "${env:A}"), ("http://h/${A}", "${A}"), ("http://h/$${A}", "{"),
    ],
)  # fmt: skip
def test_a_bad_url_has_a_flaw_at_its_place(url, part):
    flaw = grammar.url_flaw(url)
    assert flaw is not None
    assert url[flaw.start : flaw.end] == part


def test_a_url_has_at_most_2048_characters():
    assert grammar.url_flaw("http://h/" + "a" * 2039) is None
    assert grammar.url_flaw("http://h/" + "a" * 2040) is not None


URL_PARTS = st.sampled_from(
    [
        *"aZ09-._~%/?#[]@!$&'()*+,;=: \\|<>\"^`{}\t\r\n\x00é\uff11",
        "http://", "https://", "%41", "%2e%2e", "..", "./", "//", "127.0.0.1", "[::1]", "0x7f", "xn--",
        ":80", ":443", ":0", ":99999", "user@", "localhost", "example.com",
    ]
)  # fmt: skip


@given(st.lists(URL_PARTS, max_size=8).map("".join))
@example("/%2e%2e/a")
@example("/%2E/")
@example("?'")
@example("[::E]:80/")
@settings(max_examples=500, deadline=None)
def test_httpx_sends_what_the_grammar_accepts_to_the_same_place(rest):
    for url in (f"http://{rest}", f"https://h/{rest}", f"https://h?{rest}"):
        if grammar.url_flaw(url) is None:
            there, sent = grammar.target(url), httpx.URL(url)
            port = sent.port or (443 if sent.scheme == "https" else 80)
            host = sent.raw_host.decode().lower()  # httpx leaves addresses as they are
            assert (sent.scheme, host, port) == (there.scheme, there.host.lower(), there.port)
            assert sent.raw_path.decode() == there.path_and_query


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
HEADER_NAMES = st.text(
    st.sampled_from("aZ09!#$%&'*+-.^_`|~ :()<>@,;\\\"/[]?={}\t\r\n\x00\x7fé"), max_size=9
)
HEADER_VALUES = st.text(
    st.sampled_from("aZ09 ~!:;,=\"'\\\t\r\n\x00\x0b\x0c\x1b\x7f\x80\xa0é\uff11"), max_size=9
)


def received(method, target, headers):
    """Return what a server reads of a request that h11 writes."""
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    server.receive_data(client.send(h11.Request(method=method, target=target, headers=raw)))
    request = server.next_event()
    assert isinstance(server.next_event(), h11.EndOfMessage)
    return request


@given(METHODS, st.lists(URL_PARTS, max_size=8).map("".join), HEADER_NAMES, HEADER_VALUES)
@example("GET", "?'", "X-A", "a \t b")
@settings(max_examples=200, deadline=None)
def test_h11_writes_and_reads_what_the_grammar_accepts_as_it_stands(method, rest, name, value):
    url = f"https://h/{rest}"
    target = grammar.target(url).path_and_query if grammar.url_flaw(url) is None else "/"
    good = grammar.header_name_flaw(name) is None and grammar.header_value_flaw(value) is None
    headers = [("Host", "h"), *([(name, value)] if good else [])]
    request = received(method, target, headers)
    assert (request.method.decode(), request.target.decode()) == (method, target)
    read = [(name.decode(), value.decode()) for name, value in request.headers]
    assert read == [(name.lower(), value) for name, value in headers]


@given(HEADER_NAMES, HEADER_VALUES)
@settings(max_examples=200, deadline=None)
def test_what_h11_refuses_in_a_header_the_grammar_refuses(name, value):
    try:
        received("GET", "/", [("Host", "h"), (name, value)])
    except h11.ProtocolError:
        assert grammar.header_name_flaw(name) or grammar.header_value_flaw(value)


@given(st.lists(URL_PARTS, max_size=8).map("".join))
@settings(max_examples=200, deadline=None)
def test_the_host_of_what_the_grammar_accepts_is_asked_for_in_every_part(rest):
    url = f"https://{rest}"
    if grammar.url_flaw(url) is None:
        there, sent = grammar.target(url), httpx.URL(url)
        host = f"[{there.host}]" if ":" in there.host else there.host
        port = "" if there.port == 443 else f":{there.port}"
        assert sent.netloc.decode() == f"{host}{port}".lower()
        request = received("GET", sent.raw_path, [("Host", sent.netloc.decode())])
        assert request.target.decode() == there.path_and_query


def test_references_are_split_from_the_text_round_them():
    text = "a ${env:A_1}$${b}$$ $${env:X} ${file:/run/x y" + "}"
    assert grammar.reference_flaw(text)  # the blank in the file's name
    assert grammar.split("a ${env:A_1}$${b} $x$ ${file:/run/x}") == [
        "a ", Reference("env", "A_1"), "${", "b} $x$ ", Reference("file", "/run/x"),
    ]  # fmt: skip
    assert grammar.split("$$${env:A}") == ["$", "${", "env:A}"]
    assert grammar.references("no $ reference") == []
    assert [str(found) for found in grammar.references("${env:A}${file:b}")] == [
        "${env:A}", "${file:b}",
    ]  # fmt: skip


@given(
    st.lists(st.sampled_from(["a", "$", "{", "}", "env", "file", ":", "X", "${", " "])).map("".join)
)
def test_a_text_without_flaw_is_split_without_loss(text):
    if grammar.reference_flaw(text) is None:
        parts = grammar.split(text)
        assert "".join("$${" if part == "${" else str(part) for part in parts) == text


@pytest.mark.parametrize(
    "text",
    ["${", "${}", "${A}", "${env}", "${env:}", "${env:1}", "${env:A-B}", "${env: A}", "${ENV:A}",
     "${file:}", "${file:a b}", "${file:..}", "${file:../a}", "${file:a/../b}", "${file:é}",
     "${env:${env:A}}", "${vault:a}", "${{ secrets.A }}"],
)  # fmt: skip
def test_a_wrong_reference_has_a_flaw(text):
    flaw = grammar.reference_flaw(f"before {text}")
    assert flaw is not None
    assert flaw.of_reference
    assert flaw.start == len("before ")


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Proxy-Authorization",
     "proxy-x", "Accept-Encoding", "Expect", "Upgrade", "TE", "Trailer", "Idempotency-Key",
     "X-Sinkd-Anything", "x-opensink-session-id", "X-OpenSink-Request-Id", "", "a b", "a:b", "é",
     "a\n", "(a)"],
)  # fmt: skip
def test_a_header_that_a_job_cannot_set(name):  # H8
    assert grammar.header_name_flaw(name) is not None


@pytest.mark.parametrize(
    "name", ["Host", "User-Agent", "traceparent", "Cookie", "X-A.b_c~1", "TE-X"]
)
def test_a_header_that_a_job_can_set(name):
    assert grammar.header_name_flaw(name) is None


def test_webhook_headers_belong_to_the_job_unless_sinkd_signs():
    assert grammar.header_name_flaw("webhook-id") is None
    assert grammar.header_name_flaw("Webhook-Id", signed=True) is not None


def test_a_header_value_is_printable_ascii_with_blanks_inside():
    for value in ("", "a", "a b\tc", "Bearer ${env:T}", "$${x}", "~!"):
        assert grammar.header_value_flaw(value) is None
    for value in (" a", "a ", "\ta", "a\n", "a\r\nb", "é", "\x00", "\x7f", "${env:}"):
        assert grammar.header_value_flaw(value) is not None


def test_a_signing_secret_is_references_with_blanks_between():
    for text in ("${env:A}", "${file:a/b} ${env:B}", "${env:A}\t ${env:B}"):
        assert grammar.is_signing_secret(text)
    for text in ("", "whsec_abc", "${env:A}${env:B}", " ${env:A}", "${env:A} x", "x${env:A}"):
        assert not grammar.is_signing_secret(text)


def test_times_of_day():
    assert all(map(grammar.is_time_of_day, ("00:00", "09:05", "23:59")))
    assert not any(
        map(grammar.is_time_of_day, ("24:00", "9:00", "09:60", "09:00\n", "\uff109:00", ""))
    )
