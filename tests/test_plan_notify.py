# ruff: noqa: RUF001 (a comment on a forge has its plus signs)
"""What a plan says of `notify`: who comes and goes, new hosts, and the references each receives."""

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd import source
from sinkd.cli import sinkd
from sinkd.commands.plan_markdown import markdown
from sinkd.commands.plan_sides import Side
from sinkd.commands.plan_text import text
from sinkd.plan import as_json, compare

JOBS = """
jobs:
  - name: a
    schedule: {interval_minutes: 15}
    request: {url: "https://api.example.com/${env:OLD}"}
"""
NONE = "version: 1" + JOBS
SLACK = '{url: "https://hooks.example.com/${env:TOKEN}?x=1", signing_secret: "${file:key}", on: [failure]}'
KNOWN = '{url: "https://API.example.com/told", headers: {X: "${env:OLD} ${env:NEW}"}}'


def with_notify(*items):
    return f"version: 1\nnotify: [{', '.join(items)}]{JOBS}"


def planned(before, after):
    return compare(*(source.load(each.encode()).spec for each in (before, after)), 0)


def shown(lines, before, after):
    sides = [
        Side(name, name, each.encode(), name) for name, each in (("old", before), ("new", after))
    ]
    return "\n".join(lines(planned(before, after), *sides))


def test_whom_to_notify_is_no_difference_when_it_is_the_same():
    assert planned(with_notify(SLACK, KNOWN), with_notify(KNOWN, SLACK)).notify == ()


def test_a_new_address_is_shown_with_its_host_and_what_that_receives():
    assert shown(text, NONE, with_notify(SLACK, KNOWN)) == snapshot("""\
new against old

No job changes, `notify` does.

\x1b[32m  + notify https://hooks.example.com/${env:TOKEN} on failure\x1b[0m
      new host hooks.example.com, receives ${env:TOKEN}
      needs TOKEN in the environment of sinkd run
      needs key in a secrets directory

\x1b[32m  + notify https://API.example.com/told on failure, recovery, config_refused\x1b[0m
      sends ${env:NEW}, new for api.example.com
      needs NEW in the environment of sinkd run\
""")


def test_one_that_goes_is_shown_without_consequences():
    assert shown(text, with_notify(SLACK), NONE) == snapshot("""\
new against old

No job changes, `notify` does.

\x1b[31m  - notify https://hooks.example.com/${env:TOKEN} on failure\x1b[0m\
""")


def test_a_changed_one_goes_and_comes_and_its_host_is_known():
    plan = planned(with_notify(SLACK), with_notify(SLACK.replace("failure", "recovery")))
    assert [(each.kind, each.new_host, each.receives, each.needs) for each in plan.notify] == [
        ("added", None, (), ()),
        ("removed", None, (), ()),
    ]


def test_a_comment_says_it_and_warns():
    assert shown(markdown, NONE, with_notify(SLACK, KNOWN)) == snapshot("""\
<!-- sinkd-plan: new -->
### sinkd plan: `notify` changes

No job changes, `notify` does.

- ➕ notify `https://hooks.example.com/${env:TOKEN}` on failure: **new host**, receives `${env:TOKEN}`, needs `TOKEN` in the environment of sinkd run, needs `key` in a secrets directory
- ➕ notify `https://API.example.com/told` on failure, recovery, config_refused: `api.example.com` receives `${env:NEW}`, needs `NEW` in the environment of sinkd run

> [!WARNING]
> `notify` sends to `hooks.example.com`, a host no job used before.
>
> `notify` sends `${env:NEW}` to `api.example.com` for the first time.

<sub>sinkd 0.1.0, <code>old</code> → <code>new</code></sub>\
""")


def test_the_json_has_it():
    assert as_json(planned(NONE, with_notify(SLACK)))["notify"] == snapshot(
        [
            {
                "change": "added",
                "url": "https://hooks.example.com/${env:TOKEN}",
                "on": ["failure"],
                "new_host": "hooks.example.com",
                "receives": ["${env:TOKEN}"],
                "needs": ["${env:TOKEN}", "${file:key}"],
            }
        ]
    )


@pytest.mark.parametrize(("after", "code"), [(NONE, 0), (with_notify(SLACK), 1)])
def test_it_counts_as_a_change(tmp_path, after, code):
    (tmp_path / "old.yaml").write_text(NONE)
    (tmp_path / "jobs.yaml").write_text(after)
    arguments = ["--config", str(tmp_path / "jobs.yaml"), "plan", "--exit-code", "--base"]
    arguments.append(str(tmp_path / "old.yaml"))
    assert CliRunner().invoke(sinkd, arguments, standalone_mode=False).return_value == code
