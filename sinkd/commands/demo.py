"""`sinkd demo`: the example agent beside the daemon, each job fired once by hand."""

import asyncio
import logging
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import from_json

from sinkd import grammar, source
from sinkd.clock import SystemClock
from sinkd.commands import report
from sinkd.commands.run import configure_log
from sinkd.commands.tail_text import Teller
from sinkd.daemon import Daemon, RefusedError
from sinkd.demo.agent import create_app
from sinkd.demo.server import HOST, PORT, listen
from sinkd.errors import UsageError
from sinkd.instant import rfc3339
from sinkd.start import Assembly, Options, assemble, serve
from sinkd.terminal import show
from sinkd.watch import FileWatch
from sinkd.web.server import serving

if TYPE_CHECKING:
    from sinkd.settings import Settings

_DATABASE: Final = "agent.db"
_TRIES: Final = 60  # a job whose own slot runs just now is asked again, each second


def run_command(settings: "Settings", *, once: bool, port: int) -> int:
    """Run agent and daemon until a signal; with `once` until each job ran, 1 if one failed.

    The address of the agent comes first: without it nothing else is touched.
    """
    configure_log("console", colors=settings.use_color(sys.stderr), level=logging.WARNING)
    with listen(port) as listening:
        config = _jobs_file(settings.config, port)
        _refuse_other_addresses(config, port)
        code = asyncio.run(_run(settings, config, listening, once=once))
    if code is None:
        raise click.Abort
    return code


class _MovedFile(FileWatch):
    """A jobs file whose requests to the example agent go to another port."""

    def __init__(self, path: Path, port: int) -> None:
        super().__init__(path)
        self._moved = _address(port).encode()

    def read(self) -> bytes:
        """Return the file's bytes, the agent's address replaced."""
        return super().read().replace(_address(PORT).encode(), self._moved)


def _address(port: int) -> str:
    return f"http://{HOST}:{port}/"


def _jobs_file(path: Path, port: int) -> FileWatch:
    """Return the file to run; without a `./jobs.yaml`, the one that comes with sinkd."""
    if path == Path("jobs.yaml") and not path.exists():
        path = Path(str(files("sinkd.demo").joinpath("jobs.yaml")))
        click.echo(f"There is no ./jobs.yaml: these are the example's own jobs, {path}")
    return FileWatch(path) if port == PORT else _MovedFile(path, port)


def _refuse_other_addresses(config: FileWatch, port: int) -> None:
    """Refuse a file of real jobs: the demo fires every one of them."""
    spec = source.load(config.read(), str(config.path)).spec
    for job in spec.jobs.values() if spec else ():
        target = grammar.target(job.request.url)
        if (target.host, target.port) != (HOST, port):
            message = (
                f"job `{job.name}` of {config.path} calls {target.host}:{target.port}, and the demo"
                f" fires every job, but only at the example agent on {HOST}:{port}; run the demo"
                " in an empty directory, your own jobs with `sinkd run`"
            )
            raise UsageError(message)


async def _run(
    settings: "Settings", config: FileWatch, listening: socket.socket, *, once: bool
) -> int | None:
    """Serve agent and daemon until the daemon stops, by a signal or because each job ran `once`.

    None: a signal came first.
    """
    # The last good file may be one of real jobs: only what was just looked at may be fired.
    options = Options(
        config.path,
        settings.data_dir,
        no_last_good=True,
        listen=None if once else f"{HOST}:{_page_port(listening)}",
    )
    assembly = await assemble(options, config=config, show=_teller(settings))
    agent = create_app(settings.data_dir / _DATABASE)
    async with serving(agent, listening):
        address = _address(listening.getsockname()[1])
        click.echo(f"The example agent is at {address}; each job is fired once, by hand:\n")
        served = asyncio.create_task(serve(assembly))
        toured = asyncio.create_task(_tour(settings, assembly, address, once=once))
        await asyncio.wait({served, toured}, return_when=asyncio.FIRST_COMPLETED)
        if toured.done() and (once or toured.exception()):
            assembly.daemon.stop("demo")
        await served
    if toured.done():
        return toured.result()
    toured.cancel()
    return None if once else 0


def _teller(settings: "Settings") -> Callable[[bytes], None]:
    """Return what shows each line of the log as `sinkd tail` does."""
    teller = Teller(rfc3339(SystemClock().wall())[:10])
    color = settings.use_color(sys.stdout)
    return lambda line: show(teller.tell(from_json(line)), color=color)


async def _tour(settings: "Settings", assembly: Assembly, address: str, *, once: bool) -> int:
    """Fire every job, then show the report and where to go on; with `once`, 1 if a run failed."""
    names = assembly.first.spec.jobs
    runs = await asyncio.gather(*(_fire(assembly.daemon, name) for name in names))
    click.echo()
    report.run_command(settings)
    for run in runs:
        if session := run.get("response_headers", {}).get("x-session-id"):
            _tell_session(run["job"], f"{address}sessions/{session}", once=once)
    if once:
        return int(any(run["outcome"] != "success" for run in runs))
    _tell_next(settings, assembly)
    return 0


async def _fire(daemon: Daemon, name: str) -> Mapping[str, Any]:
    """Return the record of a manual run; while a run of the job's schedule is on, wait for it."""
    for _ in range(_TRIES):
        with suppress(RefusedError):
            return await (await daemon.trigger(name)).ended
        await asyncio.sleep(1)
    return await (await daemon.trigger(name)).ended


def _tell_session(job: str, page: str, *, once: bool) -> None:
    where = " Its page, while `sinkd demo` runs without --once:" if once else " Its page:"
    click.echo(f"\nA session of {job} waits for your approval.{where}\n  {page}")


def _page_port(listening: socket.socket) -> int:
    """Return the port after the agent's, if it is free, else 0: any other."""
    port: int = listening.getsockname()[1] + 1
    with suppress(OSError, OverflowError), socket.create_server((HOST, port)):
        return port
    return 0


def _tell_next(settings: "Settings", assembly: Assembly) -> None:
    if assembly.site:
        click.echo(f"\nThe status page is at {assembly.site.address}")
    beside_python = os.path.relpath(Path(sys.executable).with_name("sinkd"))
    program = "sinkd" if shutil.which("sinkd") else beside_python
    if settings.data_dir != Path(".sinkd"):
        program += f" --data-dir {shlex.quote(str(settings.data_dir))}"
    click.echo(
        f"\nThe jobs go on by schedule until Ctrl-C; an edit of {assembly.options.config} is in use a second later."
        "\nIn another terminal:\n"
        f"  {program} tail -f                every run as it ends\n"
        f"  {program} trigger trading-bot    one more session\n"
        f"  {program} report                 totals of each job\n"
    )
