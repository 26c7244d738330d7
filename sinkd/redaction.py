"""Secrets taken out of texts that came from outside, or may quote what did."""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO
from urllib.parse import quote, quote_plus

REDACTED: Final = "[redacted]"
HIDDEN: Final = "<secret ref>"  # the `repr` of whatever holds a secret
_HOLE: Final = "\0"  # stands for it meanwhile, because a secret may read like a part of it

_CREDENTIAL: Final = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|[\w-]*(?:api-?key|token|secret|password)[\w-]*",
    re.IGNORECASE,
)
# A server may send 64 KiB to search, so none of these may go back over what it has read.
_ASSIGNED: Final = re.compile(r"(?<![\w-])([\w-]++)[\"']?+\s*+[:=]\s*+")
_USERINFO: Final = re.compile(r"(\w://)[^/@\s]++@")
_QUERY_VALUE: Final = re.compile(r"([?&][^=&?\s]++=)[^&\s\"']++")


def is_credential(header: str) -> bool:
    """Say whether a header of this name carries a credential: `Authorization`, `X-Api-Key`."""
    return _CREDENTIAL.fullmatch(header) is not None


def printable(data: bytes) -> str:
    r"""Return bytes as one line of printable ASCII, the others as `\xNN`."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in data)  # noqa: PLR2004


class Redactor:
    """Takes secrets out of texts that came from outside or may quote what did.

    It knows every value learned in this process, in the forms that programs quote it in, and what
    looks like a credential. Never give it the fields that sinkd makes: a secret may read like one.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._known: list[str] = []  # their forms, the longest first: some hold others

    def __repr__(self) -> str:
        """Show nothing of what it knows."""
        return HIDDEN

    def learn(self, value: str) -> None:
        """Redact this value from now on."""
        if value and value not in self._values:
            self._values.add(value)
            self._known = sorted(
                {*self._known, *_forms(value)}, key=lambda form: (-len(form), form)
            )

    def redact(self, text: str) -> str:
        """Return the text without secrets: known ones, and what looks like a credential."""
        for form in self._known:
            text = text.replace(form, _HOLE)
        text = text.replace(_HOLE, REDACTED)
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
        text = _QUERY_VALUE.sub(rf"\1{REDACTED}", text)
        return "\n".join(map(_without_credentials, text.split("\n")))

    def header(self, name: str, value: str) -> str:
        """Return the value of a header without secrets; nothing at all of a credential's."""
        return REDACTED if is_credential(name) else self.redact(value)


class RedactedStream:
    """A text stream, such as stderr, to which no known secret is written.

    One in the place of another takes over what that one writes to.
    """

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self.stream: TextIO = getattr(stream, "stream", stream)
        self._redactor = redactor

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the stream's own
        """Return what the stream has of this name."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write the text without secrets."""
        self.stream.write(self._redactor.redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines without secrets."""
        for line in lines:
            self.write(line)


def _without_credentials(line: str) -> str:
    """Cut a line where a credential is given: `Authorization: …`, `api_key=…`."""
    for found in _ASSIGNED.finditer(line):
        if is_credential(found[1]):
            return f"{line[: found.end()]}{REDACTED}"
    return line


def _forms(value: str) -> Iterator[str]:
    """Yield the value as programs quote it, and as they quote what is quoted."""
    for form in {*_encodings(value), *_escapes(value)}:
        yield form
        yield from _escapes(form)


def _encodings(value: str) -> Iterator[str]:
    """Yield the value as it is, in base64, percent-encoded, as bytes."""
    data = value.encode(errors="surrogateescape")
    yield value
    yield printable(data)
    yield base64.b64encode(data).decode().rstrip("=")
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield encoded
        yield re.sub("%..", lambda found: found[0].lower(), encoded)
    yield repr(data)[2:-1]
    yield repr(data + b"'\"")[2:-4]  # as inside a text with both quotes


def _escapes(text: str) -> Iterator[str]:
    """Yield the text as it stands in JSON and in a `repr`."""
    import json  # not for `validate`, which only asks for names of headers

    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield repr(text + "'\"")[1:-4]
