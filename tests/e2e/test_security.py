"""What `sinkd run` keeps to itself, whom it calls, and what it says about its place."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from faults.proxies import Proxy
from faults.servers import Server

from sinkd.control import last_reply

pytestmark = pytest.mark.e2e

PASSWORD = "pr0xy-p4ssword"


def said_of(process, event):
    """Return the fields of the JSON lines of an event on stderr."""
    lines = [line for line in process.stderr_text().splitlines() if line.startswith("{")]
    return [each for line in lines if (each := json.loads(line))["event"] == event]


# --- the process --------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_crash_would_leave_no_memory_on_the_disk(home, job):
    home.declare(job("poll"))
    process = home.run(preexec_fn=_wants_core_dumps)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    assert process.stop() == 0


def _wants_core_dumps():
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


LEAKS = """
import asyncio, logging, os, sys, structlog
from sinkd import daemon
secret = os.environ["TOKEN"]

async def fail(self, *arguments, **options):
    self.secrets.missing(self.spec.jobs["poll"] if self.spec.jobs else next(iter(arguments[0].spec.jobs.values())))
    log = structlog.get_logger("sinkd")
    log.error("first", error="refused " + secret, job="poll")
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("second")
    logging.getLogger("asyncio").error("third %s", secret)
    sys.stderr.write("fourth " + secret + chr(10))
    asyncio.get_running_loop().call_exception_handler({"message": "fifth " + secret})
    raise RuntimeError("sixth", secret, repr(secret.encode()))

daemon.Daemon.run = fail
from sinkd.cli import main
main()
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_is_on_stderr_whatever_a_bug_writes_there(home, job, log_format):
    home.declare(job("poll", request={"headers": {"Authorization": "Bearer ${env:TOKEN}"}}))
    home.env = {"TOKEN": 'c4n4ry-\'value\nin "two" l1nes'}
    options = ["--config", str(home.config), "--data-dir", str(home.data_dir), "run"]
    command = [sys.executable, "-c", LEAKS, *options, "--log-format", log_format]
    ended = subprocess.run(
        command, env=home._env(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1, ended.stderr
    for word in ("first", "second", "third", "fourth", "fifth", "sixth"):
        assert word in ended.stderr
    assert "Traceback" in ended.stderr
    assert "c4n4ry" not in ended.stderr
    assert "l1nes" not in ended.stderr
    assert ended.stderr.count("[redacted]") >= 6


# --- its place ------------------------------------------------------------------------------------


def test_what_is_doubtful_about_its_place_is_said_and_refuses_nothing(home, job):
    home.declare(job("poll"))
    home.data_dir.mkdir()
    home.data_dir.chmod(0o770)
    runs = home.data_dir / "runs.jsonl"
    runs.touch()
    (home.path / "backup").hardlink_to(runs)
    home.path.chmod(0o777)
    process = home.run("--log-format", "json")
    told = {
        event: said_of(process, event)
        for event in ("config_writable_by_everyone", "data_writable_by_others", "data_hard_linked")
    }
    assert {event: len(found) for event, found in told.items()} == dict.fromkeys(told, 1)
    assert told["data_hard_linked"][0]["paths"] == str(runs)
    assert len(said_of(process, "running_as_root")) == (os.geteuid() == 0)
    assert outcome(home)[0] == "success"
    assert process.stop() == 0


def test_a_user_of_its_own_is_not_warned_of_root(home, job, nobodys):
    home.declare(job("poll"))
    process = home.run("--log-format", "json", prefix=nobodys)
    assert not said_of(process, "running_as_root")
    assert not said_of(process, "data_of_another_user")
    assert process.stop() == 0
    os.chown(home.data_dir / "events.jsonl", 0, 65534)
    (home.data_dir / "events.jsonl").chmod(0o660)
    process = home.run("--log-format", "json", prefix=nobodys)
    (doubt,) = said_of(process, "data_of_another_user")
    assert doubt["paths"] == str(home.data_dir / "events.jsonl")
    assert process.stop() == 0


@pytest.mark.parametrize("name", ["runs.jsonl", "reserve", "revisions"])
def test_a_link_among_its_files_ends_with_74_and_what_it_leads_to_is_untouched(home, job, name):
    home.declare(job("poll"))
    home.data_dir.mkdir(mode=0o750)
    prey = home.path / "prey"
    prey.mkdir() if name == "revisions" else prey.write_text("prey")
    (home.data_dir / name).symlink_to(prey)
    process = home.start()
    assert process.ended() == 74
    assert f"{name} is a symbolic link" in process.stderr_text()
    assert list(prey.iterdir()) == [] if prey.is_dir() else prey.read_text() == "prey"


def test_a_link_in_the_place_of_a_file_that_is_made_anew_is_replaced(home, job):
    home.declare(job("poll"))
    home.data_dir.mkdir(mode=0o750)
    (home.path / "prey").write_text("prey")
    for name in ("accepted.json", "control.sock", ".gitignore"):
        (home.data_dir / name).symlink_to(home.path / "prey")
    assert home.run().stop() == 0
    assert (home.path / "prey").read_text() == "prey"


def test_a_directory_that_everyone_can_write_ends_with_74(home, job):
    home.declare(job("poll"))
    home.data_dir.mkdir()
    home.data_dir.chmod(0o777)
    process = home.start()
    assert process.ended() == 74
    assert f"chmod o-w {home.data_dir}" in process.stderr_text()
    assert not list(home.data_dir.iterdir())
    home.data_dir.chmod(0o1777)
    assert home.run().stop() == 0


def test_the_socket_for_orders_is_its_users_alone(home, job):
    home.declare(job("poll"))
    home.run(umask=0)
    assert stat.S_IMODE((home.data_dir / "control.sock").stat().st_mode) == 0o600


# --- whom it calls --------------------------------------------------------------------------------


def outcome(home, name="poll"):
    """Fire a job through the daemon's socket, and return what its record says of the end."""
    asyncio.run(last_reply(home.data_dir, {"do": "trigger", "job": name, "wait": True}))
    run = home.runs()[-1]
    return run["outcome"], run.get("reason"), run.get("phase"), run.get("error")


def test_a_proxy_is_used_when_the_option_or_its_variable_names_it(home, job, server):
    home.declare(job("poll", request={"url": "http://agents.example/poll"}))
    with Proxy(server.server_port) as proxy:
        home.env = {"SINKD_PROXY": proxy.url.replace("//", f"//sinkd:{PASSWORD}@")}
        process = home.run("--log-format", "json")
        assert outcome(home)[0] == "success"
        assert process.stop() == 0
        home.env = {}
        process = home.run("--proxy", proxy.url)
        assert outcome(home)[0] == "success"
        assert process.stop() == 0
    assert [head.split("\r\n")[0] for head in proxy.heads] == [
        "POST http://agents.example/poll HTTP/1.1"
    ] * 2
    assert "Proxy-Authorization: Basic " in proxy.heads[0]
    assert [request.path for request in server.requests] == ["/poll", "/poll"]
    written = b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in written


def test_a_proxy_of_other_programs_is_not_asked(home, job, server):
    home.declare(job("poll"))
    with Proxy(answer=b"") as proxy:
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
        home.env = dict.fromkeys(names, proxy.url)
        home.run()
        assert outcome(home)[0] == "success"
    assert proxy.heads == []


def test_a_proxy_that_refuses_leaves_a_record_that_says_so(home, job):
    home.declare(job("poll", request={"url": "https://agents.example/poll"}))
    with Proxy(answer=b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        home.run("--proxy", proxy.url)
        error = "connect: the proxy: answered 403 to CONNECT"
        assert outcome(home) == ("failure", "connect", "connect", error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--proxy", "http://proxy:3128", "--network", "public"], "exclude each other"),
        (["--proxy", f"ftp://sinkd:{PASSWORD}@proxy"], "write `http://HOST:PORT`"),
        (["--network", "public", "--allow-cidr", "10.0.0.1/8"], "has host bits set"),
    ],
)
def test_options_that_cannot_be_meant_end_with_2(home, job, options, says):
    home.declare(job("poll"))
    process = home.start(*options)
    assert process.ended() == 2
    assert says in process.stderr_text()
    assert PASSWORD not in process.stderr_text()
    assert not home.data_dir.exists()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--network", "public", "--allow-cidr", "127.0.0.0/8"], "success"),
        (["--network", "public", "--allow-host", "127.0.0.1"], "success"),
        (["--network", "public", "--allow-host", "other.example"], "policy"),
    ],
)
def test_a_public_network_is_without_what_is_private_but_allowed(home, job, server, options, found):
    home.declare(job("poll"))
    home.run(*options)
    assert found in outcome(home)
    assert len(server.requests) == (found == "success")


def test_metadata_services_are_never_called(home, job):
    hosts = {"link-local": "169.254.169.254", "mapped": "[::ffff:100.100.100.200]"}
    home.declare(*(job(name, request={"url": f"http://{host}/"}) for name, host in hosts.items()))
    home.run("--network", "any", "--allow-host", "169.254.169.254", "--allow-cidr", "0.0.0.0/0")
    for name in hosts:
        assert outcome(home, name)[:3] == ("failure", "policy", "connect")


def test_an_authority_and_a_client_certificate_are_those_of_the_options(home, job):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(home.path / "ca.pem")
    own = authority.issue_cert("sinkd.example")
    own.private_key_and_cert_chain_pem.write_to_path(home.path / "own.pem")
    with Server(_answers, context=_asking_for_a_certificate(authority)) as server:
        home.declare(job("poll", request={"url": f"https://127.0.0.1:{server.port}/"}))
        for options, found in (
            ([], "SSLCertVerificationError"),
            (["--ca-file", "ca.pem"], "failure"),
            (["--ca-file", "ca.pem", "--client-cert", "own.pem"], "success"),
        ):
            process = home.run(*options)
            assert found in str(outcome(home))
            assert process.stop() == 0


def _asking_for_a_certificate(authority):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _answers(connection):
    connection.ask()
    connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


# --- where secrets are looked up ------------------------------------------------------------------


def test_references_lead_to_no_file_and_no_variable_beyond_those_allowed(home, job, server):
    secrets = home.path / "secrets"
    secrets.mkdir()
    (home.path / "shadow").write_text("s3cret-of-others")
    (secrets / "stolen").symlink_to(home.path / "shadow")
    (secrets / "token").write_text("t0ken-of-ours")
    home.env = {"JOB_TOKEN": "j0b-token", "OTHER": "s3cret-of-others"}
    places = {
        "link": "${file:stolen}",
        "absolute": f"${{file:{home.path}/shadow}}",
        "passwd": "${file:/etc/passwd}",
        "variable": "${env:OTHER}",
        "inside": f"${{file:{secrets}/token}} ${{env:JOB_TOKEN}}",
    }
    home.declare(
        *(job(name, request={"headers": {"X-A": value}}) for name, value in places.items())
    )
    process = home.run("--secrets-dir", str(secrets), "--env-prefix", "JOB_")
    for name in ("link", "absolute", "passwd", "variable"):
        assert outcome(home, name)[:2] == ("failure", "secret"), name
    assert server.requests == []
    assert outcome(home, "inside")[0] == "success"
    assert server.requests[-1].headers["x-a"] == "t0ken-of-ours j0b-token"
    assert process.stop() == 0
