"""The configurations in `deploy/notify/` give each service what it needs, as a stand-in checks it."""

import asyncio
import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from sinkd import source
from sinkd.notices import Edges
from sinkd.runner import Runner, direct_transport
from sinkd.secrets import Secrets

NOTIFY = Path(__file__).parent.parent / "deploy" / "notify"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "tok-1234567890"
ENV = {"SLACK_WEBHOOK_TOKEN": TOKEN, "ALERTS_TOKEN": TOKEN, "NTFY_TOPIC": TOKEN}
RUN = {
    "v": 1, "seq": 7, "job": "bot", "run_id": "bot@2026-11-23T09:00Z",
    "scheduled_at": "2026-11-23T09:00:00Z", "outcome": "failure", "reason": "http_status",
    "status_code": 503, "error": 'answered 503 "sorry" {{.on}}',
}  # fmt: skip
EVENT = {
    "v": 1, "seq": 8, "event": "config_refused", "revision": None, "total": 1,
    "problems": [{"code": "SNK000", "line": 1, "column": 1, "message": "no such file"}],
}  # fmt: skip


def slack(path, headers, body):
    """Answer as an incoming webhook does: a payload of JSON with a text, at a secret path."""
    if not re.fullmatch(r"/services/T\w+/B\w+/[\w-]+", path) or not path.endswith(TOKEN):
        return 403, "invalid_token"
    if headers.get_content_type() != "application/json":
        return 400, "invalid_payload"
    text = json.loads(body).get("text")
    return (200, text) if isinstance(text, str) and text else (400, "no_text")


def webhook(path, headers, body):
    """Answer as a receiver that checks the token and the signature."""
    if headers["Authorization"] != f"Bearer {TOKEN}" or path != "/sinkd":
        return 401, ""
    return 200, Webhook(KEY).verify(body, dict(headers))["text"]


def ntfy(path, headers, body):
    """Answer as ntfy does: templates in headers are filled from a body of JSON; at a topic."""
    if not re.fullmatch(r"/[-_A-Za-z0-9]{1,64}", path):
        return 404, "page not found"
    if headers["Template"] not in {"yes", "1", "true"} or headers.get("Priority", "high") != "high":
        return 200, body.decode()
    data = json.loads(body)

    def filled(text):
        return re.sub(r"\{\{\.(\w+)\}\}", lambda found: str(data[found[1]]), text)

    return 200, f"{filled(headers['Title'])}\n{filled(headers['Message'])}"


@contextmanager
def serving(service):
    """Run a stand-in for a service; yield its port and what it answered."""
    answers = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = service(self.path, self.headers, body)
            answers.append((status, text))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], answers
        finally:
            server.shutdown()
            thread.join()


def told(service, tmp_path, record, *, failing=()):
    """Send the notice of a record to all who are to be told; return the answers of the stand-in."""
    (tmp_path / "alerts-key").write_text(KEY)
    notice = Edges(set(failing)).take(record)
    with serving(service) as (port, answers):
        text = (NOTIFY / f"{service.__name__}.yaml").read_text()
        text = re.sub(r"https://[^/]+", f"http://127.0.0.1:{port}", text)
        loaded = source.load(f"version: 1\njobs: []\n{text}".encode())
        assert loaded.diagnostics == ()

        async def tell():
            now = time.time
            runner = Runner(direct_transport(), Secrets(ENV, [tmp_path]), now=now)
            for to in loaded.spec.notify:
                if notice.on in to.on:
                    answer = await runner.tell(to, notice.identity, notice.body())
                    assert answer.outcome == "success", answers

        asyncio.run(tell())
    return [text for _, text in answers]


FAILED = 'bot failed: answered 503 "sorry" {{.on}} (2026-11-23 09:00 UTC)'
RECOVERED = "bot recovered (2026-11-23 09:00 UTC)"
REFUSED = "the jobs file is refused, the one before stays in use: 1:1 no such file"


@pytest.mark.parametrize("service", [slack, webhook])
def test_slack_and_webhooks_show_the_text(service, tmp_path):
    assert told(service, tmp_path, RUN) == [FAILED]
    assert told(service, tmp_path, EVENT) == [REFUSED]
    well = {**RUN, "outcome": "success"}
    assert told(service, tmp_path, well, failing=["bot"]) == [RECOVERED]


def test_ntfy_fills_its_templates_once_whatever_comes_to_pass(tmp_path):
    assert told(ntfy, tmp_path, RUN) == [f"sinkd: failure\n{FAILED}"]
    assert told(ntfy, tmp_path, EVENT) == [f"sinkd: config_refused\n{REFUSED}"]
    well = {**RUN, "outcome": "success"}
    assert told(ntfy, tmp_path, well, failing=["bot"]) == [f"sinkd: recovery\n{RECOVERED}"]


def test_every_configuration_is_tried():
    assert {path.stem for path in NOTIFY.glob("*.yaml")} == {"slack", "webhook", "ntfy"}
