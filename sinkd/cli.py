"""The `sinkd` command: every command and option is declared here, the work imported inside each.

Nothing but click is imported at the top, so `sinkd --help` and `sinkd validate` start fast. A
command function returns its exit code; a `SinkdError` becomes one line on stderr and its code.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from sinkd import __version__
from sinkd.errors import SinkdError, UsageError

CTRL_C = 130


class Settings:
    """The global options, handed to each command: where the jobs file and the data directory are."""

    def __init__(self, config: Path, data_dir: Path, color: str) -> None:
        self.config = config
        self.data_dir = data_dir
        self.color = color

    def use_color(self, stream: Any) -> bool:  # noqa: ANN401 (any text stream)
        """Say whether text on this stream is coloured: NO_COLOR wins, then FORCE_COLOR, then the terminal."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def example(*lines: str) -> str:
    """Return the epilog of a command's help: an example, line by line."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def needs_daemon_platform() -> None:
    """Refuse the commands that need a POSIX system (R14)."""
    if sys.platform == "win32":
        name = click.get_current_context().info_name
        message = f"`sinkd {name}` does not work on Windows; use Linux, macOS or WSL"
        raise UsageError(message)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SINKD"})
@click.version_option(__version__, "-V", "--version", message="sinkd %(version)s")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Colour the output; auto: on a terminal, unless NO_COLOR is set.")
@click.option("--config", type=click.Path(path_type=Path), default=Path("jobs.yaml"), show_default=True,
              metavar="FILE", envvar="SINKD_CONFIG", help="The jobs file.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path(".sinkd"), show_default=True,
              metavar="DIR", envvar="SINKD_DATA_DIR", help="Where the run log and the daemon's files are.")
@click.pass_context
def sinkd(context: click.Context, color: str, config: Path, data_dir: Path) -> None:
    """Fire HTTP requests on minute-aligned schedules, declared in jobs.yaml.

    Every due run leaves one line in an append-only log: what ran, what did not, and why.
    """
    context.obj = Settings(config, data_dir, color)


def main() -> NoReturn:
    """Run the command line and exit with the code of `errors` and product.md."""
    try:
        code = sinkd.main(prog_name="sinkd", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = CTRL_C
    except BrokenPipeError:
        # The reader of our output went away, as in `sinkd report | head`: no more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except SinkdError as error:
        click.echo(f"sinkd: {error}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


command: Callable[..., Any] = sinkd.command
