"""`sinkd run --listen`: the pages of a real process, live, behind a token, and at its end."""

import json
import re
import socket
import time

import httpx
import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def site(home, job):
    """Start a daemon that serves its pages, and return a client of them."""
    home.declare(job("poll"))
    clients = []

    def start(*options, at="127.0.0.1:0"):
        process = home.run("--listen", at, *options)
        said = r"listening +at=(\S+)"
        home.wait_for(lambda: re.search(said, process.stderr_text()), "it says where it listens")
        address = re.search(said, process.stderr_text())[1]
        if address.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=address.removeprefix("unix:"))
            clients.append(httpx.Client(transport=transport, base_url="http://localhost"))
        else:
            clients.append(httpx.Client(base_url=address))
        return process, clients[-1]

    yield start
    for client in clients:
        client.close()


def test_a_run_shows_on_the_page_and_in_the_stream_and_an_open_stream_holds_up_no_end(site, home):
    process, client = site()
    assert client.get("/-/ready").status_code == 200
    with client.stream("GET", "/events", timeout=30) as stream:
        assert home.command("trigger", "poll").returncode == 0
        told = next(line for line in stream.iter_lines() if line.startswith("data:"))
        assert json.loads(told.removeprefix("data:"))["jobs"] in (["poll"], [])
        page = client.get("/").text
        assert "All 1 jobs are healthy" in page or "The job is healthy" in page
        (run,) = client.get("/api/v1/jobs/poll/runs").json()["runs"]
        assert (run["trigger"], run["outcome"]) == ("manual", "success")
        assert client.get(f"/runs/{run['run_id'].replace('#', '%23')}").status_code == 200
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 6


def test_plan_compares_with_what_runs_behind_a_token(site, home, job):
    token = home.path / "token"
    token.write_text("s3cret\n")
    _, client = site("--auth-token-file", str(token))
    assert client.get("/").status_code == 401
    assert client.get("/", auth=("anybody", "s3cret")).status_code == 200
    home.declare(job("poll"), job("more"))
    url = str(client.base_url)
    base = ("plan", "--base", url, "--auth-token-file", str(token), "-o", "json")
    done = home.command(*base)
    assert done.returncode == 0, done.stderr
    assert [each["job"] for each in json.loads(done.stdout)["added"]] in (["more"], [])
    assert home.command("plan", "--base", url).returncode == 2


def test_a_unix_socket_serves_as_well_and_is_gone_at_the_end(site, home):
    path = home.path / "pages.sock"
    process, client = site(at=f"unix:{path}")
    assert client.get("/").status_code == 200
    assert process.stop() == 0
    assert not path.exists()


def test_an_address_that_cannot_be_had_ends_the_start(home, job):
    home.declare(job("poll"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = home.start("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert process.ended() == 2
    assert home.start("--listen", "0.0.0.0:0").ended() == 2
    assert "--no-auth" in home.processes[-1].stderr_text()
    assert not home.data_dir.exists()
