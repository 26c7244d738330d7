"""From a changed file to a checked spec that the daemon can swap in (rules C).

Whatever hint comes, the same happens: read until two reads agree, compare with what runs and with
what was refused last, then accept or refuse the file as a whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sinkd import revisions, source
from sinkd.commit import find_commit
from sinkd.diagnostics import Diagnostic
from sinkd.errors import ConfigError, UsageError
from sinkd.record import Problem
from sinkd.revisions import revision_of
from sinkd.runlog import Offload
from sinkd.spec import Spec

SETTLE_SECONDS: Final = 0.5  # C2
UNSETTLED_SECONDS: Final = 10  # C2


class Config(Protocol):
    """The jobs file as the daemon sees it: `watch.FileWatch`, or one in memory under simulation."""

    path: Path

    def read(self) -> bytes:
        """Return the file's bytes; UsageError when it cannot be read."""

    def hints(self) -> AsyncIterator[None]:
        """Yield whenever the file should be read again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checked jobs file: the spec, the bytes it was read from, and their git commit, if known."""

    spec: Spec
    data: bytes
    commit: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A jobs file that was refused: `revision` is None when it could not even be read."""

    revision: str | None
    problems: tuple[Problem, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    data: bytes = b""


class Reloader:
    """Follows the jobs file; `running` is the revision in use, `refused` what shows as refused."""

    def __init__(
        self,
        config: Config,
        offload: Offload,
        *,
        commit_of: Callable[[Path, bytes], str | None] = find_commit,
    ) -> None:
        self.running: str | None = None
        self.refused: Refusal | None = None
        self._config = config
        self._offload = offload
        self._commit_of = commit_of
        self._turn = asyncio.Lock()

    @property
    def path(self) -> Path:
        """The jobs file."""
        return self._config.path

    async def first(self, accepted: str | None) -> Candidate | Refusal:
        """Read the file at a start; bytes that were accepted before need not settle (C2)."""
        found = await self._read()
        if not (isinstance(found, bytes) and revision_of(found) == accepted):
            found = await self._settled(found, lambda: None)
        result = await self._check(found)
        self.refused = result if isinstance(result, Refusal) else None
        return result

    async def serve(self, report: "Report") -> None:
        """Follow the file for ever, telling `report` what became of each change."""
        async for _ in self._config.hints():
            await self.look(report)

    async def look(self, report: "Report") -> None:
        """Read the file once and say what follows: nothing, a candidate, a refusal (C1, C9)."""
        async with self._turn:
            found = await self._read()
            if self._is_known(found, report):
                return
            found = await self._settled(found, report.unsettled)
            if self._is_known(found, report):
                return
            result = await self._check(found)
            if isinstance(result, Candidate):
                self.refused, self.running = None, result.spec.revision
                report.accepted(result)
            else:
                self.refused = result
                report.refused(result)

    def _is_known(self, found: bytes | str, report: "Report") -> bool:
        revision = revision_of(found) if isinstance(found, bytes) else None
        if revision is not None and revision == self.running:
            if self.refused:
                self.refused = None
                report.restored()
            return True
        if self.refused is None or self.refused.revision != revision:
            return False
        return revision is not None or self.refused.problems[0]["message"] == found

    async def _read(self) -> bytes | str:
        """Return the file's bytes, or the sentence that says why it cannot be read."""
        try:
            return await self._offload(self._config.read)
        except UsageError as error:
            return str(error)

    async def _settled(self, found: bytes | str, unsettled: Callable[[], None]) -> bytes | str:
        """Return what two reads agree on that are half a second apart (C2, F3)."""
        waited = 0.0
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            again = await self._read()
            if again == found:
                return found
            found = again
            waited += SETTLE_SECONDS
            if waited == UNSETTLED_SECONDS:
                unsettled()

    async def _check(self, found: bytes | str) -> Candidate | Refusal:
        """Parse and validate the whole file, off the loop (C3)."""
        if isinstance(found, str):
            return Refusal(None, (_at_start(found),))
        try:
            loaded = await self._offload(lambda: source.load(found, str(self.path)))
        except Exception as bug:  # noqa: BLE001 (C4: what runs stays, whatever goes wrong here)
            message = f"sinkd met a bug of its own in this file ({type(bug).__name__}); report it"
            return Refusal(revision_of(found), (_at_start(message),))
        if loaded.spec is None:
            problems = tuple(source.problems(loaded.diagnostics))
            return Refusal(revision_of(found), problems, loaded.diagnostics, found)
        commit = await self._offload(lambda: self._commit_of(self.path, found))
        return Candidate(loaded.spec, found, commit)


def _at_start(message: str) -> Problem:
    return {"code": "SNK000", "line": 1, "column": 1, "message": message}


class Report(Protocol):
    """What a reload tells the daemon."""

    def accepted(self, candidate: Candidate) -> None:
        """Take a checked file: it is swapped in at the next pass (C3)."""

    def refused(self, refusal: Refusal) -> None:
        """Take note of a refused file; what runs stays (C4)."""

    def restored(self) -> None:
        """Take note that the bytes in use are back while a refusal was showing (C9)."""

    def unsettled(self) -> None:
        """Take note that the file has kept changing for 10 s (C2)."""


def last_good(data_dir: Path, path: Path) -> Candidate | None:
    """Return the file accepted last in a data directory, if it was at this path (R13)."""
    accepted = revisions.read_accepted(data_dir)
    if accepted is None or accepted.path != str(path.absolute()):
        return None
    spec = source.load(accepted.data, accepted.path).spec
    return Candidate(spec, accepted.data, None) if spec else None


def begin_with(found: Candidate | Refusal, last: Candidate | None) -> tuple[Candidate, str]:
    """Choose what a start runs, and say from where: the file, else the last good one (C6).

    Raises ConfigError when there is neither.
    """
    if isinstance(found, Candidate):
        return found, "file"
    if last is None:
        message = f"nothing is scheduled: {found.problems[0]['message']}"
        if more := len(found.problems) - 1:
            message += f" (and {more} more)"
        raise ConfigError(message)
    return last, "last_good"
