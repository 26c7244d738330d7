"""Our own grammar of URLs, headers, references and names; no HTTP library is asked.

`validate` reads the jobs file with it and the runner checks what it is about to send with it once
more, so that both mean the same. Nothing is normalised: a text is right or it has a `Flaw`, which
says where. Whatever the grammar accepts, httpx sends to the same host, port, path and query; a test
compares the two.

References are `${env:NAME}` and `${file:NAME}`; `$${` writes `${`; a lone `$` is itself.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
LABEL_KEY: Final = r"^[a-z0-9][a-z0-9._-]{0,31}$"
TIME_OF_DAY: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
HEADER_NAME: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 5.6.2, token
URL_LIMIT_CHARACTERS: Final = 2048

_REFERENCE = r"\$\{(?:env:[A-Za-z_][A-Za-z0-9_]*|file:[!-#%-z|~]+)\}"
SIGNING_SECRET: Final = rf"^{_REFERENCE}([ \t]+{_REFERENCE})*$"

REFERENCES_LIMIT: Final = 1000  # of a text; a file of 16 MiB has room for millions
_DOLLAR = re.compile(r"\$\$\{|\$\{(?:(?P<kind>env|file):(?P<name>[^{}]*)|[^{}]*)\}|\$\{")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_REFERENCE = re.compile(r" *(?:env[.:] *)?([a-z_][a-z0-9_]*) *", re.IGNORECASE)
_OF_GITHUB = re.compile(r"\{ *(?:secrets|env|vars)\.([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_FILE_NAME = re.compile(r"[!-#%-z|~]+")  # printable ASCII without blank, `$`, `{`, `}`
_SIGNING_SECRET = re.compile(SIGNING_SECRET)
_TIME_OF_DAY = re.compile(TIME_OF_DAY)
_HEADER_NAME = re.compile(HEADER_NAME)
_AUTHORITY = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)")
_AROUND: Final = ' \t\n"<>\u201c\u201d\u201e\u2018\u2019'
_BROKEN_SCHEME = re.compile(r"(https?)(?::/?|//)(?=[A-Za-z0-9_-])")
_HOST = re.compile(r"(?=.{1,253}$)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_NUMBER_AT_THE_END = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?$")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HIGHEST_PORT = 65_535
_NOT_IN_A_TARGET = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/?%-]")  # RFC 3986
_DOT_SEGMENT = re.compile(r"(?<=/)\.\.?(?=/|$)")
_NOT_IN_A_VALUE = re.compile(r"[^\t -~]")
_BLANKS_OUTSIDE = re.compile(r"^[\t ]+|(?<![\t ])[\t ]+$")

_RESERVED = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "idempotency-key",
        "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_RESERVED_PREFIXES = ("proxy-", "x-sinkd-")
_OPENSINK = frozenset({"x-opensink-session-id", "x-opensink-request-id"})


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a text between two of its offsets, and what to write.

    Neither sentence quotes more of the text than a name or a single character: the text may be
    a secret. `replacement` is for the text between the offsets; `safe` when it cannot change
    what the author meant.
    """

    message: str
    label: str
    start: int
    end: int
    replacement: str | None = None
    safe: bool = False
    of_reference: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that is looked up when a request is sent: in the environment, or in a file."""

    kind: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        """Return the reference as it is written in a jobs file."""
        return f"${{{self.kind}:{self.name}}}"


class Target(NamedTuple):
    """Where a request goes: `host` without brackets, `path_and_query` as sent."""

    scheme: str
    host: str
    port: int
    path_and_query: str


def split(text: str) -> list[str | Reference]:
    """Return the text as literal pieces and references, `$${` already read as `${`.

    The text must have no `reference_flaw`.
    """
    parts: list[str | Reference] = []
    position = 0
    for found in _DOLLAR.finditer(text):
        parts.append(text[position : found.start()])
        if found["kind"]:
            parts.append(Reference("env" if found["kind"] == "env" else "file", found["name"]))
        else:
            parts.append("${")
        position = found.end()
    parts.append(text[position:])
    return [part for part in parts if part != ""]


def references(text: str) -> list[Reference]:
    """Return the references of a text without flaw, in order."""
    if "${" not in text:
        return []
    return [part for part in split(text) if isinstance(part, Reference)]


def reference_flaw(text: str) -> Flaw | None:
    """Say what is wrong with the first wrong `${` of a text."""
    for number, found in enumerate(_DOLLAR.finditer(text) if "${" in text else ()):
        if number == REFERENCES_LIMIT:
            message = f"a text has at most {REFERENCES_LIMIT:,} references"
            return Flaw(message, "one too many", *found.span(), of_reference=True)
        if found[0] != "$${" and (flaw := _wrong_reference(found)):
            return flaw
    return None


def _wrong_reference(found: re.Match[str]) -> Flaw | None:
    kind, name = found["kind"], found["name"]
    replacement = None
    if kind == "env":
        if _ENV_NAME.fullmatch(name):
            return None
        message = "this is not the name of an environment variable"
        label = "a letter or `_`, then letters, digits and `_`"
    elif kind == "file":
        if _FILE_NAME.fullmatch(name) and ".." not in name.split("/"):
            return None
        message = "this is not the name of a secret file"
        label = "a path below the secrets directory, without blanks and `..`"
    elif found[0] == "${":
        message = "this `${` begins no reference"
        label = "write `$${` for the two characters themselves"
        replacement = "$${"
        if found.string.startswith(("env:", "file:"), found.end()):
            message, label, replacement = "this reference is never closed", "add a `}`", None
        elif found.string.startswith("{", found.end()):  # as `${{ secrets.TOKEN }}` of GitHub
            secret = _OF_GITHUB.match(found.string, found.end())
            name = secret[1] if secret else "NAME"
            label = f"write `${{env:{name}}}`; `$${{` for the two characters themselves"
            replacement = None
    else:
        message = "this reference is not known"
        label = "write `${env:NAME}` or `${file:NAME}`; `$${` for the two characters themselves"
        if word := _LIKE_REFERENCE.fullmatch(found[0][2:-1]):
            replacement = f"${{env:{word[1]}}}"
            label = f"did you mean `{replacement}`?"
    return Flaw(message, label, *found.span(), replacement, of_reference=True)


def _without_references(text: str) -> str:
    """Put harmless letters in the place of references, so that offsets stay."""
    return _DOLLAR.sub(lambda found: "x" * len(found[0]) if found["kind"] else found[0], text)


def url_flaw(text: str) -> Flaw | None:
    """Say what is wrong with a URL that may hold references in its path and query."""
    if (flaw := reference_flaw(text)) is not None:
        return flaw
    bare = text.strip(_AROUND)
    if bare != text and bare.startswith(("http://", "https://")):
        message = "blanks, quotes or brackets stand around this URL"
        return Flaw(message, "write the URL alone", 0, len(text), bare, safe=True)
    if len(text) > URL_LIMIT_CHARACTERS:
        label = f"{len(text):,} characters"
        return Flaw(f"a URL has at most {URL_LIMIT_CHARACTERS:,} characters", label, 0, len(text))
    found = _AUTHORITY.match(text)
    if found is None or found["scheme"] not in {"http", "https"}:
        return _scheme_flaw(text)
    start, end = found.span("authority")
    return _authority_flaw(found["authority"], start) or _target_flaw(
        _without_references(text), end
    )


def _scheme_flaw(text: str) -> Flaw:
    scheme, separator, _ = text.partition("://")
    lower = scheme.lower()
    if "${" in scheme:
        message = "a reference may stand in path and query only"
        return Flaw(message, "write scheme and host out", 0, len(scheme), of_reference=True)
    if not separator:
        message, label = "a URL begins with `http://` or `https://`", "write `https://…`"
        if found := _BROKEN_SCHEME.match(text):
            return Flaw(message, f"write `{found[1]}://`", *found.span(), f"{found[1]}://")
        return Flaw(message, label, 0, len(text), f"https://{text}" if _HOST.match(text) else None)
    message = "the scheme of a URL is `http` or `https`"
    if lower in {"http", "https"}:
        return Flaw(message, f"write `{lower}`", 0, len(scheme), lower, safe=True)
    return Flaw(message, "not this one", 0, len(scheme))


def _authority_flaw(authority: str, start: int) -> Flaw | None:
    end = start + len(authority)
    if "@" in authority:
        message = "a URL cannot hold credentials: they would be in Git and in logs"
        at = start + authority.rindex("@") + 1
        return Flaw(message, "use a header with a reference, as `${env:NAME}`", start, at)
    if "${" in authority:
        message = "a reference may stand in path and query only"
        return Flaw(message, "write host and port out", start, end, of_reference=True)
    host, port = _host_and_port(authority)
    if (complaint := _host_complaint(host)) is not None:
        return Flaw(*complaint, start, start + max(len(host), 1))
    if port is not None and not (_PORT.fullmatch(port) and int(port) <= _HIGHEST_PORT):
        return Flaw("a port is a number 1 to 65535", "not this one", end - len(port), end)
    return None


def _host_and_port(authority: str) -> tuple[str, str | None]:
    """Split at the colon that follows the host; the brackets of an IPv6 address stay."""
    head, bracket, tail = authority.rpartition("]")
    name, colon, port = tail.partition(":")
    return head + bracket + name, port if colon else None


def _host_complaint(host: str) -> tuple[str, str] | None:
    if not host:
        return "this URL names no host", "write `https://` and a host"
    if not host.isascii():
        return "a URL is ASCII", "write the host in its `xn--` form"
    if host.startswith("["):
        right = host.endswith("]") and _is_address(host[1:-1], ipaddress.IPv6Address)
        complaint = "this is not an IPv6 address", "write it as `[2001:db8::1]`"
    elif _NUMBER_AT_THE_END.search(host):
        right = _is_address(host, ipaddress.IPv4Address)
        complaint = "a host that ends in a number is an IPv4 address", "write it as `192.0.2.1`"
    else:
        right = _HOST.fullmatch(host) is not None
        complaint = "this is not a host name", "letters, digits, `-`, `_`; at most 63 between dots"
    return None if right else complaint


def _is_address(text: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return "%" not in text


def _target_flaw(text: str, start: int) -> Flaw | None:
    """Say what is wrong with path and query, which begin at `start`."""
    if found := _NOT_IN_A_TARGET.search(text, start):
        return _character_flaw(found)
    path_end = len(text) if (question := text.find("?", start)) < 0 else question
    if found := _DOT_SEGMENT.search(text, start, path_end):
        message = "a path cannot hold `.` or `..` as a part"
        return Flaw(message, "write the path that it leads to", *found.span())
    return None


def _character_flaw(found: re.Match[str]) -> Flaw:
    character = found[0]
    if character == "#":
        message, label = "a URL here has no fragment", "servers never see it: remove it"
        return Flaw(message, label, found.start(), len(found.string))
    if character == "%":
        message, label = "a `%` in a URL is followed by two hex digits", "write `%25` for `%`"
        return Flaw(message, label, *found.span())
    encoded = "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))
    message = "a URL is ASCII" if not character.isascii() else "this cannot stand in a URL"
    safe = character.isprintable() and character != " "
    return Flaw(message, f"write `{encoded}`", *found.span(), encoded, safe)


def target(url: str) -> Target:
    """Return where a URL without flaw leads; references stay as written."""
    found = _AUTHORITY.match(url)
    if found is None:
        message = "the URL was never checked"
        raise ValueError(message)
    host, port = _host_and_port(found["authority"])
    rest = url[found.end() :]
    default_port = 443 if found["scheme"] == "https" else 80
    return Target(
        found["scheme"],
        host.strip("[]"),
        int(port) if port else default_port,
        rest if rest.startswith("/") else f"/{rest}",
    )


def is_time_of_day(text: str) -> bool:
    """Say whether a text is a time of day, `HH:MM`."""
    return _TIME_OF_DAY.fullmatch(text) is not None


def is_signing_secret(text: str) -> bool:
    """Say whether a text is one reference, or several with blanks between."""
    return _SIGNING_SECRET.fullmatch(text) is not None


def is_header_name(text: str) -> bool:
    """Say whether a text is a header's name (RFC 9110 5.6.2, token)."""
    return _HEADER_NAME.fullmatch(text) is not None


def header_name_flaw(name: str, *, signed: bool = False) -> Flaw | None:
    """Say why a job cannot set this header (H8); `signed`: sinkd signs the request."""
    lower = name.lower()
    whole = (0, len(name))
    if not is_header_name(name):
        return Flaw("this is not a header name", "letters, digits and `-`", *whole)
    if lower in _OPENSINK:
        message = f"`{name}` cannot be set: to OpenSink it means resume"
        return Flaw(message, "remove it", *whole)
    if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
        return Flaw(f"`{name}` is set by sinkd alone", "remove it", *whole)
    if signed and lower.startswith("webhook-"):
        message = f"`{name}` is set by sinkd alone when it signs"
        return Flaw(message, "remove it, or remove `signing_secret`", *whole)
    return None


def header_value_flaw(value: str) -> Flaw | None:
    """Say what is wrong with a header's value that may hold references."""
    if (flaw := reference_flaw(value)) is not None:
        return flaw
    text = _without_references(value)
    if found := _NOT_IN_A_VALUE.search(text) or _BLANKS_OUTSIDE.search(text):
        message = "a header value is printable ASCII, with blanks only inside"
        return Flaw(message, "not this", *found.span())
    return None
