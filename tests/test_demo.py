"""The example agent: its sessions, its pages and who may write; the jobs file it answers."""

import asyncio
import re
import subprocess
import sysconfig
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sinkd.demo import research
from sinkd.demo.agent import create_app
from sinkd.demo.sessions import Item, Session, Sessions
from sinkd.errors import UsageError
from sinkd.source import load

ROOT = Path(__file__).parent.parent
ADDRESS = "http://127.0.0.1:8787"
NOW = datetime(2026, 11, 23, 14, 0, 12, tzinfo=UTC).timestamp()
RUN = "trading-bot@2026-11-23T14:00Z"
EXECUTE = "/agents/trading-bot/execute"
RESEARCH = {"mode": "research"}


class Client:
    """One life of the agent on a database, spoken to over HTTP without a network."""

    def __init__(self, database):
        self.app = create_app(database, now=lambda: NOW)
        self.sessions = Sessions(database, now=lambda: NOW)

    def request(self, method, path, **options):
        async def send():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path):
        return self.request("GET", path, headers={"Accept": "text/html"})

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def execute(self, run_id=RUN):
        headers = {"Idempotency-Key": run_id} if run_id else {}
        return self.post(EXECUTE, json=RESEARCH, headers=headers).headers["X-Session-Id"]


@pytest.fixture
def database(tmp_path):
    return tmp_path / "agent.db"


@pytest.fixture
def agent(database):
    return Client(database)


def test_a_run_opens_a_session_that_waits_for_a_person(agent):
    answer = agent.post(EXECUTE, json=RESEARCH, headers={"Idempotency-Key": RUN})
    session_id = answer.headers["X-Session-Id"]
    assert answer.status_code == 202
    assert answer.json() == {
        "session_id": session_id,
        "state": "waiting_for_input",
        "url": f"{ADDRESS}/sessions/{session_id}",
    }
    session = agent.sessions.get(session_id)
    assert session.run_id == RUN
    assert [item.kind for item in session.items] == [
        *("message", "reasoning", "tool_call", "reasoning", "tool_call", "approval_request"),
    ]


def test_the_same_run_finds_its_session_again(agent):
    assert agent.execute() == agent.execute()
    assert len(agent.sessions.all()) == 1


def test_another_run_and_a_request_without_a_run_open_sessions_of_their_own(agent):
    assert (
        len({agent.execute("a"), agent.execute("b"), agent.execute(None), agent.execute(None)}) == 4
    )


@pytest.mark.parametrize("body", [b"", b"research", b"[]", b'{"mode":"gamble"}', b"\xff"])
def test_another_body_is_refused_with_the_one_that_is_right(agent, body):
    answer = agent.post(EXECUTE, content=body)
    assert answer.status_code == 422
    assert '{"mode": "research"}' in answer.text
    assert agent.sessions.all() == []


@pytest.mark.parametrize(
    ("decision", "result"), [("approve", "Order placed: "), ("reject", "Order declined, ")]
)
def test_a_person_decides_and_the_session_is_completed(agent, decision, result):
    session_id = agent.execute()
    answer = agent.post(f"/sessions/{session_id}/{decision}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/sessions/{session_id}")
    session = agent.sessions.get(session_id)
    assert (session.state, session.decision) == ("completed", decision)
    assert session.items[-1].text.startswith(result)
    assert session.items[-1].text in agent.get(f"/sessions/{session_id}").text


def test_a_decision_is_final(agent):
    session_id = agent.execute()
    agent.post(f"/sessions/{session_id}/approve")
    again = agent.post(f"/sessions/{session_id}/reject")
    assert again.status_code == 409
    assert agent.sessions.get(session_id).decision == "approve"


def test_of_two_decisions_at_once_one_counts(agent):
    session = agent.sessions.get(agent.execute())
    decisions = [Item("decision", text, {"decision": text}) for text in ("approve", "reject")]
    assert [agent.sessions.append(session, item) for item in decisions] == [True, False]
    assert agent.sessions.get(session.id).decision == "approve"


def test_only_approve_and_reject_decide(agent):
    session_id = agent.execute()
    assert agent.post(f"/sessions/{session_id}/postpone").status_code == 404
    assert agent.sessions.get(session_id).state == "waiting_for_input"


def test_sessions_outlive_the_agent(agent, database):
    session_id = agent.execute()
    later = Client(database)
    assert later.execute() == session_id
    later.post(f"/sessions/{session_id}/approve")
    assert Client(database).sessions.get(session_id).state == "completed"


@pytest.mark.parametrize("decision", [None, "approve", "reject"])
def test_a_session_that_was_cut_short_anywhere_ends_as_if_it_had_not_been(database, decision):
    whole = research.script(datetime.fromtimestamp(NOW, UTC).date(), decision)
    interrupted = Client(database).sessions
    cuts = range(len(whole)) if decision is None else range(7, len(whole))
    for cut in cuts:
        session_id = interrupted.create(f"run-{cut}")
        for item in whole[:cut]:
            assert interrupted.append(interrupted.get(session_id), item)
    sessions = Client(database).sessions.all()
    assert len(sessions) == len(cuts)
    for session in sessions:
        assert [item.text for item in session.items] == [item.text for item in whole]


def test_a_session_without_items_is_running():
    assert Session("ses_1", None, int(NOW), ()).state == "running"


def test_a_broken_database_is_named_with_the_way_out(database):
    database.write_bytes(b"no database" * 100)
    with pytest.raises(UsageError, match=r"agent\.db cannot hold .*; move it away to begin anew"):
        create_app(database)


def test_the_agent_orders_something_within_its_budget_on_any_day():
    for offset in range(1_000):
        items = research.script(date(2026, 1, 1) + timedelta(days=offset), None)
        total = re.search(r", \$([\d.]+) in all\?", items[-1].text)
        assert total, items[-1].text
        assert 0 < float(total[1]) * 100 <= research.BUDGET_CENTS


def test_the_ledger_receives_each_approved_order_once(agent):
    approved, rejected, _waiting = (agent.execute(run) for run in "abc")
    agent.post(f"/sessions/{approved}/approve")
    agent.post(f"/sessions/{rejected}/reject")
    assert [agent.post("/sync").json() for _ in range(2)] == [{"copied": 1}, {"copied": 0}]


def test_the_health_check_counts_what_the_other_jobs_did(agent):
    agent.post("/cache/refresh")
    agent.post(f"/sessions/{agent.execute()}/approve")
    agent.post("/sync")
    assert agent.get("/health").json() == {
        "status": "ok",
        "quotes": len(research.MEAN_CENTS),
        "refreshed_at": int(NOW),
        "orders": 1,
        "synced_at": int(NOW),
    }


OTHER_SITES = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": ADDRESS},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "null"},
]
OWN_PAGES = [
    {"Sec-Fetch-Site": "same-origin", "Origin": ADDRESS},
    {"Sec-Fetch-Site": "none"},
    {"Origin": ADDRESS},
    {},
]


@pytest.mark.parametrize("headers", OTHER_SITES)
def test_another_site_cannot_write(agent, headers):
    session_id = agent.execute()
    for path in (f"/sessions/{session_id}/approve", EXECUTE, "/sync", "/cache/refresh"):
        assert agent.post(path, json=RESEARCH, headers=headers).status_code == 403
    assert [session.state for session in agent.sessions.all()] == ["waiting_for_input"]


@pytest.mark.parametrize("headers", OWN_PAGES)
def test_its_own_page_and_a_program_can_write(agent, headers):
    session_id = agent.execute()
    assert agent.post(f"/sessions/{session_id}/approve", headers=headers).status_code == 303


def test_a_name_that_is_not_this_machines_reaches_nothing(agent):
    assert agent.request("GET", "/", headers={"Host": "rebound.example"}).status_code == 400


def test_a_body_that_is_too_large_is_refused(agent):
    assert agent.post(EXECUTE, content=b" " * 100_000).status_code == 413


def test_every_answer_forbids_whatever_the_pages_do_not_use(agent):
    session_id = agent.execute()
    for path in ("/", f"/sessions/{session_id}", "/static/agent.css", "/health", "/nowhere"):
        headers = agent.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_pages_use_no_script_and_no_inline_style(agent):
    session_id = agent.execute()
    for path in ("/", f"/sessions/{session_id}", "/nowhere"):
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", agent.get(path).text)


def test_what_pages_link_to_is_there(agent):
    agent.execute()
    links = re.findall(r'(?:href|src)="([^"]+)"', agent.get("/").text)
    assert len(links) > 3
    assert [agent.get(link).status_code for link in links] == [200] * len(links)


def test_a_page_shows_text_from_outside_as_text(agent):
    session_id = agent.execute("<script>alert(1)</script>")
    page = agent.get(f"/sessions/{session_id}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_only_a_session_that_waits_has_buttons(agent):
    session_id = agent.execute()
    waiting = agent.get(f"/sessions/{session_id}").text
    assert f'formaction="/sessions/{session_id}/approve"' in waiting
    agent.post(f"/sessions/{session_id}/approve")
    assert "<button" not in agent.get(f"/sessions/{session_id}").text


def test_the_overview_begins_with_the_sessions_that_wait(agent):
    assert "No session yet" in agent.get("/").text
    waiting = agent.execute("first")
    agent.post(f"/sessions/{agent.execute('second')}/approve")
    page = agent.get("/").text
    assert "1 session waits for your decision." in page
    assert re.search(r"ses_\w+", page)[0] == waiting


def test_an_unknown_session_is_a_page_to_a_browser_and_a_line_to_a_program(agent):
    page, line = agent.get("/sessions/ses_0"), agent.request("GET", "/sessions/ses_0")
    assert (page.status_code, line.status_code) == (404, 404)
    assert page.headers["Content-Type"].startswith("text/html")
    assert line.text == "There is no session ses_0.\n"


def test_the_agent_answers_every_job_of_the_jobs_file_at_the_root(agent):
    loaded = load((ROOT / "jobs.yaml").read_bytes(), "jobs.yaml")
    assert loaded.diagnostics == ()
    assert len(loaded.spec.jobs) == 4
    for job in loaded.spec.jobs.values():
        answer = agent.request(job.request.method, job.request.url, json=job.request.body)
        assert answer.is_success, job.name
        assert set(job.capture_headers) <= set(answer.headers)


def test_the_wheel_holds_the_agents_pages_and_the_jobs_file(tmp_path):
    uv_build = Path(sysconfig.get_path("scripts"), "uv-build")
    subprocess.run([uv_build, "build-wheel", tmp_path], cwd=ROOT, check=True, timeout=60)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        assert wheel.read("sinkd/demo/jobs.yaml") == (ROOT / "jobs.yaml").read_bytes()
    data = {
        path.relative_to(ROOT).as_posix()
        for folder in ("templates", "static")
        for path in (ROOT / "sinkd/demo" / folder).iterdir()
    }
    assert data
    assert data <= names
