"""Reads a curl or wget command as the HTTP request that it sends.

Every option has a meaning here, is known to be of no matter for a request, or is refused with a
reason: an option that is not understood is never dropped.
"""

import getopt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sinkd import grammar
from sinkd.importers.entry import InexpressibleError
from sinkd.importers.shell import with_values

_PROXY: Final = "a proxy is set for all jobs: `sinkd run --proxy`"
_CERTIFICATE: Final = "certificates are set for all jobs: `sinkd run --ca-file`, `--client-cert`"
_CREDENTIALS: Final = "write it as a header: `Authorization: Basic ${env:NAME}`"
_FILE: Final = "a request is written out in the jobs file, it reads no other file"
_NOT_KNOWN: Final = "not known here"
_NO_REDIRECTS: Final = "redirects are never followed"
_NO_LIMIT: Final = "no time limit was set: a run may take `timeout_seconds`, 60 by default"


@dataclass(frozen=True, slots=True)
class _Program:
    """What each option of a program means: `""` is of no matter, a reason refuses it.

    `valued` options take a value, `flags` none.
    """

    valued: Mapping[str, str]
    flags: Mapping[str, str]

    def options(self, arguments: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
        """Return each option with its value, and the other arguments."""
        every = {**self.valued, **self.flags}
        for argument in arguments:
            # getopt takes abbreviations, but does not know all that they could be short for.
            name = argument.partition("=")[0]
            if name.startswith("--") and name != "--" and name not in every:
                message = f"option `{name}`: {_NOT_KNOWN}"
                raise InexpressibleError(message)
        letters = "".join(f"{name[1]}:" for name in self.valued if name[1] != "-")
        letters += "".join(name[1] for name in self.flags if name[1] != "-")
        words = [f"{name[2:]}=" for name in self.valued if name.startswith("--")]
        words += [name[2:] for name in self.flags if name.startswith("--")]
        try:
            return getopt.gnu_getopt(arguments, letters, words)
        except getopt.GetoptError as error:
            dashes = "-" if len(error.opt) == 1 else "--"
            wrong = "no value" if "requires" in error.msg else _NOT_KNOWN
            message = f"option `{dashes}{error.opt}`: {wrong}"
            raise InexpressibleError(message) from None


def _spellings(meanings: Mapping[str, str]) -> dict[str, str]:
    return {name: meaning for meaning, names in meanings.items() for name in names.split()}


_CURL: Final = _Program(
    valued=_spellings(
        {
            "method": "-X --request",
            "header": "-H --header",
            "data": "-d --data --data-ascii --data-binary",
            "raw data": "--data-raw",
            "json": "--json",
            "url": "--url",
            "seconds": "-m --max-time",
            "retry": "--retry",
            "User-Agent": "-A --user-agent",
            "Referer": "-e --referer",
            "Cookie": "-b --cookie",
            "bearer": "--oauth2-bearer",
            "": "-o --output -w --write-out -D --dump-header --stderr --connect-timeout --retry-delay"
            " --retry-max-time --max-redirs --keepalive-time -y --speed-time -Y --speed-limit"
            " --max-filesize",
            _CREDENTIALS: "-u --user",
            _PROXY: "-x --proxy --noproxy -U --proxy-user --socks5",
            _CERTIFICATE: "-E --cert --key --cacert --capath",
            _FILE: "-T --upload-file -K --config -F --form --data-urlencode -c --cookie-jar",
            "the host of the URL decides where a request goes": "--resolve --connect-to"
            " --unix-socket --interface",
        }
    ),
    flags=_spellings(
        {
            "head": "-I --head",
            "redirects": "-L --location",
            "unchecked": "-k --insecure",
            "": "-s --silent -S --show-error -f --fail --fail-with-body --fail-early -v --verbose"
            " -i --include -# --progress-bar --no-progress-meter -N --no-buffer -4 --ipv4 -6 --ipv6"
            " -0 --http1.0 --http1.1 --http2 --compressed --retry-all-errors --retry-connrefused"
            " --no-keepalive --tcp-nodelay -g --globoff -q --disable -O --remote-name"
            " -J --remote-header-name --create-dirs",
            _CREDENTIALS: "-n --netrc --basic --digest --negotiate --anyauth",
            "write the data behind a `?` of the URL": "-G --get",
            "one job sends one request": "-: --next -Z --parallel",
        }
    ),
)
_WGET: Final = _Program(
    valued=_spellings(
        {
            "method": "--method",
            "header": "--header",
            "raw data": "--post-data --body-data",
            "User-Agent": "-U --user-agent",
            "Referer": "--referer",
            "": "-O --output-document -o --output-file -a --append-output -P --directory-prefix"
            " -T --timeout --connect-timeout --read-timeout --dns-timeout -t --tries -w --wait"
            " --waitretry --max-redirect --progress",
            _CREDENTIALS: "--user --password --http-user --http-password",
            _CERTIFICATE: "--certificate --private-key --ca-certificate --ca-directory",
            _FILE: "--post-file --body-file -i --input-file -e --execute --load-cookies",
        }
    ),
    flags=_spellings(
        {
            "head": "--spider",
            "unchecked": "--no-check-certificate",
            "": "-q --quiet -n -v --no-verbose --verbose -d --debug -b --background"
            " -S --server-response --content-on-error --delete-after -4 --inet4-only -6 --inet6-only"
            " --no-cache --no-cookies --no-proxy --no-hsts --no-dns-cache --retry-connrefused"
            " --show-progress",
            _CREDENTIALS: "--auth-no-challenge",
        }
    ),
)
_PROGRAMS: Final = {"curl": _CURL, "wget": _WGET}
_NOTES: Final = {
    "redirects": _NO_REDIRECTS,
    "unchecked": "certificates are always checked (`sinkd run --ca-file`)",
    "retry": "sinkd never retries: the next slot is the next run",
}


def is_call(word: str) -> bool:
    """Say whether a word names curl or wget, with or without its directory."""
    return word.rpartition("/")[2] in _PROGRAMS


@dataclass(slots=True)
class Call:
    """What a command sends, gathered option by option."""

    method: str | None = None
    urls: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    timeout_seconds: int | None = None
    notes: list[str] = field(default_factory=list)

    def request(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of `request`; variables of the URL are replaced where known."""
        if len(self.urls) != 1:
            number = "several URLs" if self.urls else "no URL"
            message = f"{number}: one job sends one request"
            raise InexpressibleError(message)
        request: dict[str, Any] = {"url": self._url(with_values(self.urls[0], variables))}
        request["method"] = self.method or ("POST" if self.data else "GET")
        body = "&".join(self.data)
        if self.data:
            self._add_header("Content-Type", "application/x-www-form-urlencoded", weak=True)
        if self.headers:
            request["headers"] = self.headers
        return request | ({"body": body} if body else {})

    def _url(self, text: str) -> str:
        """Add the scheme that both programs assume, and drop what they never send."""
        if "${env:" in text:
            self.notes.append("a variable in a URL is percent-encoded when it is put in")
        url = text.partition("#")[0]
        return url if "://" in url or url.startswith("${") else f"http://{url}"

    def apply(self, meaning: str, option: str, value: str) -> None:
        """Take one option into account; InexpressibleError when it is refused."""
        match meaning:
            case "":
                pass
            case "method":
                self.method = value.upper()
            case "head":
                self.method = "HEAD"
            case "url":
                self.urls.append(value)
            case "seconds":
                self._apply_seconds(option, value)
            case "data" | "raw data" | "json":
                self._apply_data(meaning, option, value)
            case _ if meaning in _NOTES:
                self.notes.append(_NOTES[meaning])
            case _:
                self._apply_header(meaning, option, value)

    def _apply_header(self, meaning: str, option: str, value: str) -> None:
        match meaning:
            case "header":
                self._apply_header_line(value)
            case "bearer":
                self._add_header("Authorization", f"Bearer {value}")
            case "Cookie" if "=" not in value:
                message = f"option `{option}`: {_FILE}"
                raise InexpressibleError(message)
            case "User-Agent" | "Referer" | "Cookie":
                self._add_header(meaning, value)
            case reason:
                message = f"option `{option}`: {reason}"
                raise InexpressibleError(message)

    def _apply_data(self, meaning: str, option: str, value: str) -> None:
        if meaning != "raw data" and value.startswith("@"):
            message = f"option `{option}`: {_FILE}"
            raise InexpressibleError(message)
        if meaning == "json":
            if self.data:
                message = f"option `{option}`: the body is given twice"
                raise InexpressibleError(message)
            self._add_header("Content-Type", "application/json", weak=True)
            self._add_header("Accept", "application/json", weak=True)
        self.data.append(value)

    def _apply_seconds(self, option: str, value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value, re.ASCII):
            message = f"option `{option}`: not a number of seconds"
            raise InexpressibleError(message)
        self.timeout_seconds = math.ceil(float(value)) or None  # to curl 0 is no limit

    def _apply_header_line(self, line: str) -> None:
        name, colon, value = line.partition(":")
        if not colon and line.endswith(";"):
            name, value = line[:-1], ""
        elif not colon:
            message = "a header without `:`"
            raise InexpressibleError(message)
        elif not value.strip():
            return  # `-H Expect:` takes away a header that curl would send by itself
        flaw = grammar.header_name_flaw(name)
        if flaw is not None and grammar.is_header_name(name):
            self.notes.append(f"{flaw.message}: left out")
            return
        self._add_header(name, value.strip())

    def _add_header(self, name: str, value: str, *, weak: bool = False) -> None:
        """Add a header, once; a `weak` one only if the command sets none of this name."""
        if name.lower() not in map(str.lower, self.headers):
            self.headers[name] = value
        elif not weak:
            message = "one header is given twice"
            raise InexpressibleError(message)


def call(words: list[str]) -> Call:
    """Return what a command of curl or wget sends; InexpressibleError says what cannot be sent."""
    name = words[0].rpartition("/")[2]
    program = _PROGRAMS[name]
    options, arguments = program.options(words[1:])
    found = Call(urls=arguments)
    meanings = {**program.valued, **program.flags}
    # What sets a header by itself comes last: a header that is written out is stronger.
    for option, value in sorted(options, key=lambda pair: meanings[pair[0]] == "json"):
        found.apply(meanings[option], option, value)
    if name == "wget":
        found.notes.append(_NO_REDIRECTS)
    if found.timeout_seconds is None:
        found.notes.append(_NO_LIMIT)
    return found
