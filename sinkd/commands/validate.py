"""`sinkd validate`: every problem of the jobs files at once, or one line for each that is well."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sinkd import diagnostics, source
from sinkd.diagnostics import Diagnostic
from sinkd.errors import UsageError
from sinkd.schedule import runs_per_day
from sinkd.spec import Spec
from sinkd.terminal import json_text

if TYPE_CHECKING:
    from sinkd.commands.validate_fix import Repair
    from sinkd.settings import Settings


class Checked(NamedTuple):
    """One file: its name, its bytes, what they mean and what was found in them."""

    path: str
    data: bytes
    spec: Spec | None
    found: list[Diagnostic]

    @property
    def text(self) -> str:
        """The text that lines and columns count, without a byte order mark."""
        return self.data.decode("utf-8-sig", "replace")

    @property
    def has_errors(self) -> bool:
        """Whether anything found is an error."""
        return any(diagnostic.severity == "error" for diagnostic in self.found)


def run_command(
    settings: "Settings",
    /,
    files: tuple[Path, ...],
    output_format: str,
    *,
    quiet: bool,
    strict: bool,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
) -> int:
    """Check the files, repair them if wanted, print what was found, and return the exit code."""
    checked, code = [], 0
    files = files or (settings.config,)
    repair = None
    if fix or unsafe_fixes or diff:
        from sinkd.commands.validate_fix import Repair

        repair = Repair(unsafe=unsafe_fixes, diff=diff)
    for path in files:
        try:
            checked.append(_check(path, repair, strict=strict))
        except UsageError as error:
            click.echo(f"sinkd: {error}", err=True)
            code = error.exit_code
    if not diff:
        only_text = bool(repair) and Path("-") in files  # standard output holds the repaired file
        _report(settings, checked, output_format, quiet=quiet, err=only_text)
    would_change = diff and repair is not None and repair.would_change
    return code or int(would_change or any(file.has_errors for file in checked))


def _report(
    settings: "Settings", checked: list[Checked], output_format: str, *, quiet: bool, err: bool
) -> None:
    if output_format not in {"text", "concise", "github"}:
        click.echo(_document(checked, output_format), err=err)
        return
    color = settings.use_color(sys.stderr if err else sys.stdout)
    texts = [_text(file, output_format, quiet=quiet, color=color) for file in checked]
    text = "\n".join(filter(None, texts))
    if output_format == "github":
        from sinkd.commands import validate_github

        text = validate_github.render(checked, text)
    if text:
        click.echo(text, color=color, err=err)


def _check(path: Path, repair: "Repair | None", *, strict: bool) -> Checked:
    data = _standard_input() if str(path) == "-" else source.read(path)
    if repair:
        data, _, loaded = repair(path, data)
    else:
        loaded = source.load(data, str(path))
    found = list(loaded.diagnostics)
    if strict:
        found = diagnostics.strict(found)
    name = str(path).encode(errors="replace").decode()  # a path may hold what is no text
    return Checked(name, data, loaded.spec, found)


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(source.SIZE_LIMIT_BYTES + 1)
    if len(data) > source.SIZE_LIMIT_BYTES:
        message = "the file on standard input is larger than 16 MiB"
        raise UsageError(message)
    return data


def _document(files: list[Checked], output_format: str) -> str:
    """Return what was found in all files as one document for a program."""
    match output_format:
        case "gitlab":
            from sinkd.commands import validate_gitlab

            return validate_gitlab.render(files)
        case "sarif":
            from sinkd.commands import validate_sarif

            return validate_sarif.render(files)
        case "rdjson":
            from sinkd.commands import validate_rdjson

            return validate_rdjson.render(files)
        case _:
            found = diagnostics.as_json({file.path: file.found for file in files})
            return json_text(found)


def _text(file: Checked, output_format: str, *, quiet: bool, color: bool) -> str:
    if file.found and output_format == "concise":
        return diagnostics.as_concise(file.path, file.found)
    if file.found:
        return diagnostics.as_text(file.path, file.text, file.found, color=color)
    return "" if quiet or file.spec is None else _all_well(file.path, file.spec)


def _all_well(path: str, spec: Spec) -> str:
    """Return the line for a file without problems, and one for what its jobs need to be sent."""
    jobs = list(spec.jobs.values())
    enabled = [job for job in jobs if job.enabled]
    now = time.time()
    runs = sum(runs_per_day(job.schedule, now) for job in enabled)
    some = "" if len(enabled) == len(jobs) else f" ({len(enabled):,} enabled)"
    number = f"{runs:,.1f}".removesuffix(".0") + (" run" if runs == 1 else " runs")
    line = f"{path}: ok, {_number(len(jobs), 'job')}{some}, {number} a day"
    references = {reference for job in jobs for reference in job.references}
    for kind, what in (("env", "environment name"), ("file", "secret file")):
        if names := sorted(reference.name for reference in references if reference.kind == kind):
            line += f"\nneeds {_number(len(names), what)}: {', '.join(names)}"
    return line


def _number(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
