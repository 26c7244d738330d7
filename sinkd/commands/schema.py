"""`sinkd schema`: prints a JSON Schema, or checks a schema file for drift."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sinkd import schemas
from sinkd.errors import UsageError

if TYPE_CHECKING:
    from sinkd.settings import Settings


def run_command(_settings: "Settings", /, name: str, file: Path | None) -> int:
    """Print the schema; with a file, compare it and return 1 when it differs."""
    text = schemas.text(name)
    if file is None:
        click.echo(text, nl=False)
        return 0
    try:
        same = file.read_text(encoding="utf-8") == text
    except OSError as error:
        message = f"{file} cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from None
    except UnicodeDecodeError:
        message = f"{file} cannot be read: it is not UTF-8"
        raise UsageError(message) from None
    if not same:
        click.echo(f"{file} is out of date: write it with `sinkd schema {name} > {file}`", err=True)
    return 0 if same else 1
