"""`sinkd status`: says whether a daemon is alive."""

from typing import TYPE_CHECKING

import click

from sinkd.storage import is_locked

if TYPE_CHECKING:
    from sinkd.cli import Settings


def run_command(settings: "Settings", *, alive: bool) -> int:  # noqa: ARG001 - all there is to ask so far
    """Say whether a daemon holds the data directory; its pid would prove nothing (R11)."""
    running = is_locked(settings.data_dir)
    click.echo(
        f"{'a' if running else 'no'} daemon runs with the data directory {settings.data_dir}"
    )
    return 0 if running else 1
