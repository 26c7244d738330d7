"""References resolved when a request is sent (H10): the only reader of secrets.

Nothing here shows a value: errors name the reference, objects have a silent `repr`.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from sinkd.errors import ConfigError
from sinkd.grammar import Reference, split
from sinkd.redaction import HIDDEN, Redactor
from sinkd.spec import Job, JSONValue, Spec

FILE_LIMIT_BYTES: Final = 64 * 1024
SHORT_CHARACTERS: Final = 8
MASK: Final = "***"
_NOT_IN_A_FILE: Final = re.compile(r"[\r\n\0]|^[ \t]|[ \t]$")
_KEY: Final = re.compile(r"whsec_(\S+)")  # of Standard Webhooks; it is as secret alone
_PLATFORM: Final = "kubernetes.io"  # below /run/secrets: a service account's token

_log = structlog.get_logger("sinkd")


class MissingSecret(ConfigError):  # noqa: N818 - it reads as the sentence it is
    """A reference cannot be resolved: `reference` as written, `why` without any value."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"`{reference}` {why}")
        self.reference = reference
        self.why = why


def default_secrets_dirs(env: Mapping[str, str]) -> list[Path]:
    """Return where `${file:NAME}` is looked up when `--secrets-dir` is not given."""
    credentials = env.get("CREDENTIALS_DIRECTORY")
    return [Path(path) for path in (credentials, "/run/secrets") if path]


class Secrets:
    """Resolves references, and tells its redactor every value that it gave out.

    `env` is read anew each time, and so are the files: rotation needs no reload.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        secrets_dirs: Sequence[Path],
        env_prefix: str = "",
        redactor: Redactor | None = None,
    ) -> None:
        self._env = env
        self._directories = secrets_dirs
        self._prefix = env_prefix
        self._short: set[Reference] = set()
        self.redactor = redactor or Redactor()

    def __repr__(self) -> str:
        """Show nothing of what it holds."""
        return HIDDEN

    def resolve(self, text: str) -> str:
        """Return the text with every reference replaced; raises MissingSecret."""
        return self._resolved(text, str)

    def resolve_url(self, url: str) -> str:
        """Return the URL with every reference replaced by its percent-encoded value."""
        return self._resolved(url, lambda value: quote(value, safe=""))

    def resolve_body(self, value: JSONValue) -> JSONValue:
        """Return the value with the references of its texts replaced, at any depth, not of keys."""
        match value:
            case str():
                return self.resolve(value)
            case list():
                return [self.resolve_body(item) for item in value]
            case dict():
                return {key: self.resolve_body(item) for key, item in value.items()}
        return value

    def missing(self, user: Job | Spec) -> list[str]:
        """Return the references of a job or a spec that cannot be resolved now, as written, sorted."""
        lacking = []
        for reference in dict.fromkeys(user.references):
            try:
                self.value(reference)
            except MissingSecret as error:
                lacking.append(error.reference)
        return sorted(lacking)

    def value(self, reference: Reference) -> str:
        """Return the value of one reference; raises MissingSecret."""
        value = self._of_env(reference) if reference.kind == "env" else self._of_file(reference)
        if not value:
            raise MissingSecret(str(reference), "is empty")
        if len(value) < SHORT_CHARACTERS:
            self._warn_of_short(reference)
        for known in (value, *_KEY.findall(value)):
            self.redactor.learn(known)
        return value

    def _warn_of_short(self, reference: Reference) -> None:
        """Say once of a reference that its value may stand for other things in a text."""
        if reference not in self._short:
            self._short.add(reference)
            _log.warning("secret_short", reference=str(reference), under=SHORT_CHARACTERS)

    def _resolved(self, text: str, encode: Callable[[str], str]) -> str:
        if "${" not in text:
            return text
        return "".join(
            encode(self.value(part)) if isinstance(part, Reference) else part
            for part in split(text)
        )

    def _of_env(self, reference: Reference) -> str:
        if not reference.name.startswith(self._prefix):
            why = f"is not allowed: `--env-prefix {self._prefix}` is set"
            raise MissingSecret(str(reference), why)
        value = self._env.get(reference.name)
        if value is None:
            raise MissingSecret(str(reference), "is not set in the daemon's environment")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise MissingSecret(str(reference), "is not UTF-8 text")
        return value

    def _of_file(self, reference: Reference) -> str:
        why = "is in no secrets directory"
        for directory in self._directories:
            try:
                # An absolute name replaces the directory, and must lead back into it.
                path = Path(os.path.realpath(directory / reference.name))
                if path.is_relative_to(os.path.realpath(directory)):
                    return _content(path)
                why = "leads out of the secrets directory"
            except FileNotFoundError:
                continue
            except OSError as error:
                why = f"cannot be read: {(error.strerror or str(error)).lower()}"
                break
            except ValueError as error:
                why = str(error)
                break
        raise MissingSecret(str(reference), why)


class Masked(Secrets):
    """Shows `***` in the place of every value, and needs none (`trigger --dry-run`)."""

    def __init__(self) -> None:
        super().__init__({}, ())

    def value(self, reference: Reference) -> str:  # noqa: ARG002 - every value looks alike
        """Return the mask."""
        return MASK

    def resolve_url(self, url: str) -> str:
        """Return the URL with the mask as it is, not percent-encoded."""
        return self.resolve(url)


def _content(path: Path) -> str:
    """Return the text of a secret's file, less one newline; OSError or ValueError with a rule."""
    if _PLATFORM in path.parts:
        message = "is the pod's own credential, not one for a job"
        raise ValueError(message)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            message = "is not a regular file"
            raise ValueError(message)
        data = file.read(FILE_LIMIT_BYTES + 1)
    return _text_of(data)


def _text_of(data: bytes) -> str:
    if len(data) > FILE_LIMIT_BYTES:
        message = "holds more than 64 KiB"
        raise ValueError(message)
    try:
        text = re.sub(r"\r?\n\Z", "", data.decode())
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
        raise ValueError(message) from None
    if _NOT_IN_A_FILE.search(text):
        message = "holds a line break, a NUL, or a blank at an end"
        raise ValueError(message)
    return text
