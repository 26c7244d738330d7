"""Puts a daemon together from the options of `sinkd run`, and runs it in this process."""

import asyncio
import os
import secrets as randomness
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from sinkd import __version__, control, diagnostics, schedule, surroundings
from sinkd.clock import SystemClock
from sinkd.daemon import Daemon
from sinkd.errors import ConfigError, LogUnusableError, SinkdError
from sinkd.heartbeat import beat
from sinkd.lines import Lines
from sinkd.network import Policy
from sinkd.notices import Edges
from sinkd.notify import Notices, edges_of
from sinkd.permits import MAX_IN_FLIGHT, Permits, raise_file_limit
from sinkd.printer import Printer
from sinkd.proxy import Proxy
from sinkd.redaction import Redactor
from sinkd.reload import Candidate, Config, Refusal, Reloader, begin_with, last_good
from sinkd.retention import Keep, Retention
from sinkd.runner import Runner, direct_transport
from sinkd.secrets import Secrets, default_secrets_dirs
from sinkd.spec import Spec
from sinkd.storage import Storage
from sinkd.store import Store
from sinkd.supervision import Supervision
from sinkd.systemd import Notifier
from sinkd.watch import FileWatch

if TYPE_CHECKING:
    from sinkd.web.site import Site

STALE_TZDATA_DAYS: Final = 400  # S6

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Options:
    """What `sinkd run` can be told; the defaults are those of its command line."""

    config: Path
    data_dir: Path
    policy: Policy = field(default_factory=Policy)
    ca_file: Path | None = None
    client_cert: Path | None = None
    proxy: Proxy | None = None
    secrets_dirs: tuple[Path, ...] = ()
    env_prefix: str = ""
    check_secrets: bool = False
    max_in_flight: int = MAX_IN_FLIGHT
    max_in_flight_per_host: int | None = None
    no_last_good: bool = False
    drain_seconds: float = 8
    keep: Keep = field(default_factory=Keep)
    print_runs: bool = False
    instance: str | None = None
    heartbeat_url: str | None = None
    listen: str | None = None
    auth_token_file: Path | None = None
    no_auth: bool = False
    allowed_host: tuple[str, ...] = ()


class Threads:
    """Runs blocking calls one after another on a thread of their own (`runlog.Offload`)."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def __call__(self, call: Callable[[], Result], /) -> Awaitable[Result]:
        """Return what the call returns."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call)


@dataclass(slots=True)
class Assembly:
    """The parts of one process: a daemon over its store, and the spec that it begins with.

    `site` is what `--listen` serves, None without; `dropped` returns how many printed lines were.
    """

    options: Options
    daemon: Daemon
    first: Candidate
    source: str
    site: "Site | None" = None
    dropped: Callable[[], int] = lambda: 0

    def started(self) -> dict[str, object]:
        """Return what the event `started` says of this process."""
        named = {"instance": self.options.instance} if self.options.instance else {}
        return {"version": __version__, "pid": os.getpid(), "host": os.uname().nodename, **named}


async def assemble(
    options: Options,
    *,
    config: Config | None = None,
    show: Callable[[bytes], None] | None = None,
    redactor: Redactor | None = None,
) -> Assembly:
    """Read the jobs file, then open the data directory: nothing is touched before a spec is there.

    `config` stands for the file at `options.config`; `show` is handed each durable public line;
    `redactor` learns every secret.
    Raises ConfigError without a valid file or last good one (C6), LockedError, LogUnusableError,
    UsageError when the address of `--listen` cannot be used.
    """
    site = _site(options)
    log = structlog.get_logger("sinkd")
    clock = SystemClock()
    files = Threads("config")
    reloader = Reloader(config or FileWatch(options.config), files)
    last = last_good(options.data_dir, options.config)
    found = await reloader.first(last.spec.revision if last else None)
    if isinstance(found, Refusal):
        sys.stderr.write(_refusal_text(found, options.config))
    first, origin = begin_with(found, None if options.no_last_good else last)
    secrets = _secrets(options, first.spec, redactor)
    tzdata = _tzdata(clock.wall())
    try:
        storage = Storage(options.data_dir)
        store = Store(storage, clock, Threads("writer"), tzdata=tzdata, show=show)
    except OSError as error:
        message = f"{options.data_dir}: {error.strerror}; sinkd cannot keep its run log there"
        raise LogUnusableError(message) from error
    if store.damaged:
        log.warning("journal_damaged", lines=store.damaged, see="sinkd audit")
    transport = direct_transport(
        policy=options.policy,
        ca_file=options.ca_file,
        client_cert=options.client_cert,
        proxy=options.proxy,
    )
    daemon = Daemon(
        store=store,
        reloader=reloader,
        runner=Runner(transport, secrets, now=clock.wall, instance=options.instance),
        secrets=secrets,
        clock=clock,
        offload=files,
        permits=_permits(options, site),
        lines=Lines(tzdata, options.instance),
        new_trace_id=lambda: randomness.token_hex(16),
        retention=Retention(storage, store.log, clock, Threads("segments"), keep=options.keep),
        drain_seconds=options.drain_seconds,
        accepted_last=last.spec if last else Spec({}, ""),
    )
    if origin == "last_good":
        log.error("running_last_good", config=first.spec.config)
    return Assembly(options, daemon, first, origin, site)


async def run(options: Options, redactor: Redactor) -> None:
    """Run the daemon until a signal stops it; raises what `errors` says a command ends with."""
    printer = Printer(sys.stdout.fileno()) if options.print_runs else None
    show = printer.show if printer else None
    assembly = await assemble(options, show=show, redactor=redactor)
    if printer:
        assembly.dropped = lambda: printer.dropped
    for doubt in surroundings.doubts(options.config, options.data_dir):
        structlog.get_logger("sinkd").warning(doubt.event, **doubt.fields)
    await serve(assembly)
    if printer:
        printer.close()


async def serve(assembly: Assembly) -> None:
    """Run an assembled daemon, under signals, supervisor and control socket, until it stops."""
    daemon, options, site = assembly.daemon, assembly.options, assembly.site
    supervision = Supervision(daemon, Notifier.from_environment(), site)
    supervision.listen()
    daemon.passed = supervision.passed
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(control.serving(daemon, options.data_dir))
        await _notify(assembly, stack)
        if site:
            daemon.store.log.listeners.append(site.feed.show)
            _measure(assembly, site, stack)
            serving = site.serving(daemon, options.data_dir, assembly.source)
            await stack.enter_async_context(serving)
            structlog.get_logger("sinkd").info("listening", at=site.address)
        if options.heartbeat_url:
            beating = beat(
                options.heartbeat_url, daemon.runner, lambda: not daemon.store.log.blocked
            )
            stack.callback(asyncio.create_task(beating).cancel)
        await daemon.run(assembly.first, source=assembly.source, started=assembly.started())


async def _notify(assembly: Assembly, stack: AsyncExitStack) -> None:
    """Tell people of what happens from here on, going by what the log says of before."""
    daemon, edges = assembly.daemon, Edges()
    if assembly.first.spec.notify:
        jobs, now = assembly.first.spec.jobs, daemon.clock.wall()
        edges = await asyncio.to_thread(edges_of, assembly.options.data_dir, jobs, now)
    log = daemon.store.log
    notices = Notices(edges, daemon.runner, log, lambda: daemon.spec.notify)
    log.listeners.append(notices.observe)
    stack.callback(asyncio.create_task(notices.serve()).cancel)


def _measure(assembly: Assembly, site: "Site", stack: AsyncExitStack) -> None:
    """Serve metrics; when jobs ran last before is read from the log meanwhile."""
    from sinkd.metrics import Metrics, newest_runs

    data_dir = assembly.options.data_dir
    metrics = Metrics(assembly.daemon, data_dir, assembly.dropped)
    assembly.daemon.store.log.listeners.append(metrics.observe)
    site.metrics = metrics.render

    async def restore() -> None:
        metrics.restore(await asyncio.to_thread(newest_runs, data_dir))

    stack.callback(asyncio.create_task(restore()).cancel)


def run_and_exit(options: Options, redactor: Redactor) -> None:
    """Run the daemon and end the process at once: a hung name lookup must not hold it (D3, F9)."""
    code = 0
    _leave_no_core()
    try:
        asyncio.run(run(options, redactor))
    except SinkdError as error:
        code = error.exit_code
        sys.stderr.write(f"sinkd: {error}\n")
    sys.stderr.close()
    os._exit(code)


def _leave_no_core() -> None:
    """Have a crash leave no image of the memory, which holds secrets, on the disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _site(options: Options) -> "Site | None":
    """Return what `--listen` serves, its address bound; only here the pages are imported."""
    if options.listen is None:
        return None
    from sinkd.web.site import prepare

    return prepare(
        options.listen,
        token_file=options.auth_token_file,
        no_auth=options.no_auth,
        allowed_hosts=options.allowed_host,
    )


def _refusal_text(refusal: Refusal, path: Path) -> str:
    """Return all that is wrong with a file, with its lines; nothing when it could not be read."""
    if not refusal.diagnostics:
        return ""
    text = refusal.data.decode("utf-8", "replace")
    return diagnostics.as_text(str(path), text, refusal.diagnostics, color=False) + "\n"


def _secrets(options: Options, spec: Spec, redactor: Redactor | None) -> Secrets:
    """Return what resolves references; ConfigError while one is missing and `--check-secrets`."""
    directories = options.secrets_dirs or default_secrets_dirs(os.environ)
    secrets = Secrets(os.environ, directories, options.env_prefix, redactor)
    for secret in options.proxy.secrets() if options.proxy else ():
        secrets.redactor.learn(secret)
    if options.check_secrets and (missing := secrets.missing(spec)):
        message = f"secrets are missing: {', '.join(missing)} (--check-secrets)"
        raise ConfigError(message)
    return secrets


def _tzdata(now: float) -> str:
    """Return the version of the zone rules in use, and say which they are (S6)."""
    log, rules = structlog.get_logger("sinkd"), schedule.tzdata()
    log.info("tzdata", version=rules.version, source=rules.source)
    if rules.age_days(now) > STALE_TZDATA_DAYS:
        log.warning("tzdata_stale", version=rules.version, fix="upgrade the package tzdata")
    return rules.version


def _permits(options: Options, site: "Site | None") -> Permits:
    """Return as many permits as there are file descriptors for, beside those of clients (T8)."""
    served = site.files if site else 0
    limit = max(1, raise_file_limit(options.max_in_flight + served) - served)
    if limit < options.max_in_flight:
        log = structlog.get_logger("sinkd")
        log.warning("max_in_flight_lowered", to=limit, why="RLIMIT_NOFILE")
    return Permits(limit, options.max_in_flight_per_host)
