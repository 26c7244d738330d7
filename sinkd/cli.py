"""The `sinkd` command: every command and option is declared here, the work imported inside each.

Nothing but click is imported at the top, so `sinkd --help` and `sinkd validate` start fast. A
command function returns its exit code; a `SinkdError` becomes one line on stderr and its code.
"""

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from sinkd import __version__
from sinkd.errors import SinkdError, UsageError
from sinkd.settings import Settings

CTRL_C = 130
_OUTPUT_FAILS = {errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}

Function = TypeVar("Function", bound=Callable[..., Any])


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None:
        setattr(context.ensure_object(Settings), str(parameter.name), value)


# Not checked here: what cannot be read is said by its reader, with the command's own exit code.
_PATH = click.Path(readable=False, path_type=Path)
_COLOR = click.Choice(["auto", "always", "never"])

_GLOBAL_OPTIONS = (
    ("--config", _PATH, "FILE", "The jobs file. [default: jobs.yaml]"),
    ("--data-dir", _PATH, "DIR", "The run log's directory. [default: .sinkd]"),
    ("--color", _COLOR, None, "Colour the output. [default: auto]"),
)


def _global_options(*, environment: bool) -> Callable[[Function], Function]:
    """Add the global options; only before the command's name do they read the environment."""

    def add(function: Function) -> Function:
        for option, kind, metavar, text in reversed(_GLOBAL_OPTIONS):
            function = click.option(
                option,
                type=kind,
                metavar=metavar,
                help=text,
                callback=_remember,
                expose_value=False,
                show_envvar=environment,
            )(function)
        return function

    return add


class _Number(click.FloatRange):
    """A range of numbers: `nan` is none, though it is below no limit."""

    def convert(self, value: Any, *where: Any) -> Any:  # noqa: ANN401
        """Return the number."""
        number = super().convert(value, *where)
        return number if number == number else self.fail(f"{value!r} is not a number", *where)  # noqa: PLR0124


class _TakesAges(click.Command):
    """A command with an argument TIME, which may be an age: `-2h` is no option."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Put a blank before an age, so that click takes it for an argument."""
        ages = [f" {each}" if each[:1] == "-" and each[1:2].isdigit() else each for each in args]
        return super().parse_args(context, ages)


def _command(
    *example: str, posix: bool = False, kind: type[click.Command] = click.Command
) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a command by its function; its help ends with the example, a line each.

    `posix`: the command needs the daemon, so on Windows it exits 2 and says so (R14).
    """

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            if posix and sys.platform == "win32":
                message = f"`sinkd {function.__name__}` needs Linux or macOS; on Windows use WSL"
                raise UsageError(message)
            return function(*arguments, **options)

        epilog = "\b\nExample:\n" + "\n".join(f"  {line}" for line in example)
        return sinkd.command(function.__name__.rstrip("_"), kind, epilog=epilog)(
            _global_options(environment=False)(checked)
        )

    return declare


_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_output_format = functools.partial(click.option, "-o", "--output-format", show_default=True)


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SINKD",
    }
)
@click.version_option(__version__, "-V", "--version", message="sinkd %(version)s")
@_global_options(environment=True)
@click.pass_context
def sinkd(context: click.Context) -> None:
    """Fire HTTP requests on minute-aligned schedules, declared in jobs.yaml.

    Every due run leaves one line in an append-only log: what ran, what did not, and why.
    """
    context.ensure_object(Settings)


@_command("sinkd validate jobs.yaml")
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(readable=False, path_type=Path, allow_dash=True),
    metavar="[FILE...]",
)
@_output_format(
    type=click.Choice(["text", "concise", "json", "github", "gitlab", "sarif", "rdjson"]),
    default="text",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--fix", is_flag=True, help="Repair in the file what is certain, then check it.")
@click.option("--unsafe-fixes", is_flag=True, help="Like --fix, and the guesses too.")
@click.option(
    "--diff", is_flag=True, help="Only print what --fix would change; exit 1 if it would."
)
@click.pass_obj
def validate(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Show every problem of the jobs file at once, place and fix.

    Needs no network and no secret. `-` reads standard input. Exit code 1: a file has errors.
    """
    from sinkd.commands.validate import run_command

    return run_command(settings, **options)


@_command("sinkd plan", "sinkd plan --base origin/main -o markdown --exit-code")
@click.option(
    "--base",
    metavar="GIT-REF|FILE|URL",
    help="What to compare with; a URL is a daemon's. [default: merge base with the default branch]",
)
@click.option(
    "--auth-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The token of the daemon at the URL.",
)
@_output_format(type=click.Choice(["text", "markdown", "json"]), default="text")
@click.option("--exit-code", is_flag=True, help="Exit 1 when a job changes.")
@click.pass_obj
def plan(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Show what the jobs file changes: jobs, runs, hosts and the references they receive."""
    from sinkd.commands.plan import run_command

    return run_command(settings, **options)


@_command("sinkd next -n 5", "sinkd next refresh-cache --tz Europe/Berlin")
@click.argument("jobs", nargs=-1, metavar="[JOB...]")
@click.option(
    "-n",
    "number",
    type=click.IntRange(1, 10_000),
    help="How many slots. [default: the next of each job; 10 of jobs that are named]",
)
@click.option("--from", "start", metavar="TIME", help="Slots after this instant. [default: now]")
@click.option("--tz", "zone", metavar="ZONE", help="Also show the local time of this zone.")
@click.option("--load", is_flag=True, help="Show how many runs start in each minute of the hour.")
@_output_format(type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def next_(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Show upcoming slots."""
    from sinkd.commands.next import run_command

    return run_command(settings, **options)


@_command("sinkd run", "sinkd run --data-dir /var/lib/sinkd --print-runs", posix=True)
@click.option(
    "--network",
    type=click.Choice(["any", "public"]),
    default="any",
    show_default=True,
    help="Where requests may go; metadata services never.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="With `public`: a private host that may be called.",
)
@click.option(
    "--allow-cidr",
    multiple=True,
    metavar="NETWORK",
    help="With `public`: a private network that may be called.",
)
@click.option(
    "--ca-file",
    type=_EXISTING_FILE,
    metavar="FILE",
    help="Further certificate authorities to trust.",
)
@click.option(
    "--client-cert",
    type=_EXISTING_FILE,
    metavar="FILE",
    help="Certificate and key to present, PEM.",
)
@click.option(
    "--proxy",
    envvar="SINKD_PROXY",
    show_envvar=True,
    metavar="URL",
    help="Send requests by way of this HTTP proxy, as http://proxy:3128; not with `public`.",
)
@click.option(
    "--secrets-dir",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where `${file:NAME}` is looked up. [default: $CREDENTIALS_DIRECTORY, /run/secrets]",
)
@click.option(
    "--env-prefix", default="", metavar="P", help="`${env:NAME}` only for names that begin so."
)
@click.option(
    "--check-secrets", is_flag=True, help="Do not start (exit 78) while a secret is missing."
)
@click.option(
    "--max-in-flight", type=click.IntRange(1), default=1024, show_default=True, help="Runs at once."
)
@click.option(
    "--max-in-flight-per-host",
    type=click.IntRange(1),
    help="Runs at once to one host. [default: a quarter]",
)
@click.option(
    "--no-last-good",
    is_flag=True,
    help="Do not start on the last accepted file when this one is invalid.",
)
@click.option(
    "--drain-seconds",
    type=_Number(0),
    default=8,
    show_default=True,
    help="How long a stop waits for runs in flight.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(1, 36_500),
    default=90,
    show_default=True,
    help="How long sealed segments of the log are kept; their totals stay.",
)
@click.option(
    "--keep-bytes",
    default="off",
    show_default=True,
    metavar="SIZE",
    help="How much of sealed segments is kept, as in 5GiB.",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="The diagnostic log on stderr.",
)
@click.option("--print-runs", is_flag=True, help="Also print each line of the run log to stdout.")
@click.option("--instance", metavar="NAME", help="A name for this daemon in records and requests.")
@click.option("--heartbeat-url", metavar="URL", help="Ping this URL each minute.")
@click.option(
    "--listen", metavar="HOST:PORT|unix:PATH", help="Serve the status page, the API and metrics."
)
@click.option(
    "--auth-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask for the token in this file; needed unless only this machine can connect.",
)
@click.option("--no-auth", is_flag=True, help="Serve other machines without a token.")
@click.option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="A further name by which browsers may ask for the pages.",
)
@click.pass_obj
def run(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Run the jobs: the daemon, in the foreground.

    SIGTERM or Ctrl-C drains: nothing new starts, runs in flight may end. SIGHUP reloads, but
    drains what was started at a terminal.
    """
    from sinkd.commands.run import run_command

    return run_command(settings, **options)


@_command("sinkd trigger refresh-cache", "sinkd trigger refresh-cache --dry-run", posix=True)
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Only print the request, secrets masked.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the result, if a daemon runs.")
@_output_format(type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def trigger(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Fire one job now; recorded as `manual`, it never uses up a slot."""
    from sinkd.commands.trigger import run_command

    return run_command(settings, **options)


@_command('sinkd pause refresh-cache --for 2h --reason "vendor maintenance"', posix=True)
@click.argument("job")
@click.option("--for", "duration", required=True, metavar="DURATION", help="How long, at most 24h.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown wherever the job is.")
@click.pass_obj
def pause(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Hold one job without a commit, for at most a day; its slots are recorded as paused."""
    from sinkd.commands.pause import pause_command

    return pause_command(settings, **options)


@_command("sinkd resume refresh-cache", posix=True)
@click.argument("job")
@click.pass_obj
def resume(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """End the pause of a job."""
    from sinkd.commands.pause import resume_command

    return resume_command(settings, **options)


@_command("sinkd status", "sinkd status --alive", posix=True)
@click.option("--alive", is_flag=True, help="Only say whether a daemon runs: for health checks.")
@_output_format(type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def status(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Say whether a daemon runs, with which configuration, and what is wrong.

    Exit code 1: no daemon runs, or something is wrong. With --alive 0 while a daemon runs.
    """
    from sinkd.commands.status import run_command

    return run_command(settings, **options)


@_command(
    "sinkd why refresh-cache 10:20", "sinkd why trading-bot 2026-11-23T09:00", kind=_TakesAges
)
@click.argument("job")
@click.argument("time", type=str.strip)
@_output_format(type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def why(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Explain one job at one minute: what became of it, why, and what to do.

    TIME is read in the job's zone, UTC for an interval job. Needs no daemon: the files answer.
    """
    from sinkd.commands.why import run_command

    return run_command(settings, **options)


@_command("sinkd export > runs.jsonl", "sinkd export --since -7d | jq .outcome")
@click.option("--since", metavar="TIME", help="Slots from this instant on. [default: the first]")
@click.option("--until", metavar="TIME", help="Slots before this instant. [default: the last]")
@click.pass_obj
def export(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Print all run records as JSON lines, oldest first, unchanged."""
    from sinkd.commands.export import run_command

    return run_command(settings, **options)


@_command("sinkd audit", "sinkd audit --since -7d -o json")
@click.option("--since", metavar="TIME", help="Slots from this instant on. [default: the first]")
@_output_format(type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def audit(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Prove the log: each due slot has exactly one answer, up to the last sign of life.

    Needs no daemon. Exit code 1: a slot has no answer or two, or not all could be checked.
    """
    from sinkd.commands.audit import run_command

    return run_command(settings, **options)


@_command(
    "sinkd report",
    "sinkd report trading-bot --since -7d",
    "sinkd report --since -7d -o html > report.html",
)
@click.argument("jobs", nargs=-1, metavar="[JOB...]")
@click.option("--since", metavar="TIME", help="From this instant on. [default: the first record]")
@click.option("--until", metavar="TIME", help="Up to this instant. [default: now]")
@click.option(
    "--outcome",
    type=click.Choice(["success", "failure", "skipped", "missed", "interrupted"]),
    help="List the runs with this outcome.",
)
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Only jobs with this label.")
@click.option(
    "-n",
    "number",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many runs of a history.",
)
@_output_format(type=click.Choice(["text", "json", "markdown", "csv", "html"]), default="text")
@click.option(
    "--fail-under",
    type=_Number(0, 100),
    metavar="PCT",
    help="Exit 1 if a job answered fewer of its due slots with success.",
)
@click.pass_obj
def report(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Show totals of each job, or the history of one job."""
    from sinkd.commands.report import run_command

    return run_command(settings, **options)


@_command("sinkd tail -f", "docker logs -f sinkd | sinkd tail - --failed")
@click.argument("source", required=False, type=click.Choice(["-"]), metavar="[-]")
@click.option("-f", "--follow", is_flag=True, help="Wait for more lines.")
@click.option(
    "-n",
    "number",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How many lines to begin with.",
)
@click.option("--job", "jobs", multiple=True, metavar="JOB", help="Only this job.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Only jobs with this label.")
@click.option("--failed", is_flag=True, help="Only what did not end well.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines unchanged.")
@click.pass_obj
def tail(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Show runs and events as they come; `-` reads standard input."""
    from sinkd.commands.tail import run_command

    return run_command(settings, **options)


@_command(
    "crontab -l | sinkd import crontab - --timezone Europe/Berlin > jobs.yaml",
    "sinkd import vercel vercel.json --base-url https://my-app.vercel.app",
    "sinkd import gcloud jobs.json",
)
@click.argument("kind", type=click.Choice(["crontab", "vercel", "gcloud"]))
@click.argument("file", type=click.Path(readable=False, path_type=Path, allow_dash=True))
@click.option("--timezone", metavar="ZONE", help="Zone of the crontab's host. [default: UTC]")
@click.option("--base-url", metavar="URL", help="Where the Vercel deployment is.")
@click.pass_obj
def import_(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Print another scheduler's file as a jobs file; list what cannot be expressed, and why.

    For gcloud the file is what `gcloud scheduler jobs list --format=json` prints.
    """
    from sinkd.commands.import_ import run_command

    return run_command(settings, **options)


@_command(
    "sinkd schema jobs > jobs.schema.json", "sinkd schema jobs --check schemas/jobs.schema.json"
)
@click.argument(
    "name",
    type=click.Choice(
        [
            *("jobs", "run", "event", "plan", "why", "audit", "status", "validate"),
            *("api-jobs", "api-runs", "api-config", "badge"),
        ]
    ),
    default="jobs",
)
@click.option(
    "--check",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Check this schema file for drift: exit 1 if it differs.",
)
@click.pass_obj
def schema(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Print a JSON Schema: of the jobs file, of a record, or of what is printed or served as JSON."""
    from sinkd.commands.schema import run_command

    return run_command(settings, **options)


@_command("sinkd explain SNK104", "sinkd explain > schemas/RULES.md")
@click.argument("code", required=False)
@click.pass_obj
def explain(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Explain a rule of `validate`: why, a wrong example, a right one.

    Without CODE it prints the page of all rules, in Markdown.
    """
    from sinkd.commands.explain import run_command

    return run_command(settings, **options)


@_command("sinkd demo", "sinkd demo --once --port 9000", posix=True)
@click.option("--once", is_flag=True, help="Exit when the four runs are recorded.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8787,
    show_default=True,
    help="The example agent's port.",
)
@click.pass_obj
def demo(settings: Settings, /, **options: Any) -> int:  # noqa: ANN401
    """Try it all locally: an example agent, four jobs, a report."""
    from sinkd.commands.demo import run_command

    return run_command(settings, **options)


@_command('eval "$(sinkd completion bash)"', "sinkd completion fish | source")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that lets a shell complete commands and options."""
    from click.shell_completion import get_completion_class

    if script := get_completion_class(shell):
        click.echo(script(sinkd, {}, "sinkd", "_SINKD_COMPLETE").source())


def main() -> NoReturn:
    """Run the command line and exit with the code of `errors`."""
    _open_missing_streams()
    try:
        code = sinkd.main(prog_name="sinkd", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = CTRL_C
    except SinkdError as error:
        click.echo(f"sinkd: {error}", err=True)
        code = error.exit_code
    except OSError as error:
        code = _unwritten(error)
    sys.exit(code if isinstance(code, int) else 0)


def _open_missing_streams() -> None:
    """Give a process that was started with a standard stream closed the null device for it.

    Without, the next file to be opened would take its number, and what is printed would go there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - stays open
            setattr(sys, name, stream)


def _unwritten(error: OSError) -> int:
    """Say that the output could not be written, and return the exit code.

    When its reader went away, as in `sinkd report | head`, there is no more to say.
    """
    if not isinstance(error, BrokenPipeError) and error.errno not in _OUTPUT_FAILS:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 1
    click.echo(f"sinkd: the output cannot be written ({error.strerror})", err=True)
    return 2
