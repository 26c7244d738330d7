"""The JSON Schemas: no drift, valid themselves, and of one opinion with the reader."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click import BadParameter
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from sinkd import document, record, schemas, source
from sinkd.cli import sinkd
from sinkd.errors import UsageError

ROOT = Path(__file__).parent.parent
CORPUS = Path(__file__).parent / "corpus"
JOB = {
    "name": "ping",
    "schedule": {"interval_minutes": 15},
    "request": {"url": "https://api.example.com/ping"},
}

# Rules that a JSON Schema cannot express, or not without becoming unreadable: by code, jobs that
# the schema accepts and sinkd refuses. `schemas/README.md` lists them for people.
ONLY_SINKD_KNOWS: dict[str, list[dict[str, Any]]] = {
    "SNK102": [{"schedule": {"at": "09:00"}}],
    "SNK104": [{"timeout_seconds": 15.0}],
    "SNK106": [{"request": {"url": "https://u:p@h/"}}, {"request": {"url": "https://h/a b"}}],
    "SNK109": [{"labels": dict.fromkeys("cdefghij"[:7], "")}],
    "SNK110": [{"name": "other"}],
    "SNK114": [
        {"request": {"url": "https://h/${HOME}"}},
        {"request": {"url": "https://h/", "body": ["${HOME}"]}},
        {"request": {"url": "https://h/", "headers": {"A": "${HOME}"}}},
        {"signing_secret": "${file:../a}"},
    ],
    "SNK115": [
        {"request": {"url": "https://h/", "headers": {"Content-Length": "1"}}},
        {"request": {"url": "https://h/", "headers": {"A": " b"}}},
        {"request": {"url": "https://h/", "headers": {"A": "1", "a": "2"}}},
        {
            "signing_secret": "${env:A}",
            "request": {"url": "https://h/", "headers": {"webhook-id": "1"}},
        },
    ],
    "SNK116": [{"request": {"url": "https://h/", "body": "x" * (1024 * 1024 + 1)}}],
    "SNK117": [{"schedule": {"at": "09:00", "timezone": "Europe/Pariss"}}],
}
JOBS = Draft202012Validator(schemas.schema("jobs"))


def accepts(data: Any) -> bool:
    return JOBS.is_valid(data)


def refusals(data: Any) -> set[str]:
    """Return the codes of the errors that sinkd finds in data, which is written as JSON."""
    found = source.load(json.dumps(data).encode()).diagnostics
    return {diagnostic.code for diagnostic in found if diagnostic.severity == "error"}


def jobs_of_the_corpus() -> list[dict[str, Any]]:
    """Return a file of one job for each job of the corpus that is data at all."""
    files = []
    for path in sorted(CORPUS.glob("*/*.yaml")):
        data = document.read(path.read_bytes().decode("utf-8", "replace")).data
        if isinstance(data, dict):
            rest = {key: value for key, value in data.items() if key != "jobs"}
            jobs = data.get("jobs", None)
            files += [{**rest, "jobs": [job]} for job in jobs] if isinstance(jobs, list) else [data]
    return [data for data in files if not re.search("NaN|Infinity", json.dumps(data))]


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_file_is_what_the_types_say(name):
    assert (ROOT / "schemas" / f"{name}.schema.json").read_text() == schemas.text(name)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_schema_is_valid_and_names_itself(name):
    schema = schemas.schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:sinkd:schema:{name}:1"


def test_every_field_of_a_jobs_file_has_a_description_and_valid_examples():
    schema = schemas.schema("jobs")
    for name, model in {"JobsFile": schema, **schema["$defs"]}.items():
        for field, shape in model["properties"].items():
            if "$ref" not in shape and field != "$schema":
                assert shape.get("description"), f"{name}.{field}"
                assert shape.get("examples"), f"{name}.{field}"
                alone = Draft202012Validator({"$defs": schema["$defs"], **shape})
                assert all(map(alone.is_valid, shape["examples"])), f"{name}.{field}"


def test_schema_and_reader_agree_on_every_job_of_the_corpus_but_for_the_listed_rules():
    files = jobs_of_the_corpus()
    verdicts = [(accepts(data), refusals(data), data) for data in files]
    assert sum(accepted for accepted, _, _ in verdicts) > 50
    assert sum(not accepted for accepted, _, _ in verdicts) > 100
    for accepted, codes, data in verdicts:
        if accepted:
            assert codes <= set(ONLY_SINKD_KNOWS), data
        else:
            assert codes, data


@pytest.mark.parametrize("code", ONLY_SINKD_KNOWS)
def test_a_listed_rule_is_one_that_only_sinkd_knows(code):
    for fields in ONLY_SINKD_KNOWS[code]:
        data = {
            "version": 1,
            "defaults": {"labels": {"a": "", "b": ""}},
            "jobs": [{**JOB, "name": "other"}, {**JOB, **fields}],
        }
        assert accepts(data), fields
        assert refusals(data) == {code}, fields


def test_the_listed_rules_stand_in_the_readme():
    text = (ROOT / "schemas" / "README.md").read_text()
    listed = text.partition("## What only sinkd knows")[2].partition("\n## ")[0]
    assert set(re.findall(r"SNK\d{3}", listed)) == set(ONLY_SINKD_KNOWS)


RUN = {
    "v": 1,
    "seq": 7,
    "run_id": "ping@2026-11-23T09:00Z",
    "job": "ping",
    "scheduled_at": "2026-11-23T09:00:00Z",
    "outcome": "success",
}


def test_a_run_record_has_a_reason_of_its_outcome():
    valid = Draft202012Validator(schemas.schema("run")).is_valid
    assert valid(RUN)
    assert valid({**RUN, "a_field_of_the_future": 1})
    assert not valid({**RUN, "reason": "down"})
    assert not valid({**RUN, "outcome": "missed"})
    assert not valid({**RUN, "v": 2})
    for outcome, reasons in record.REASONS.items():
        for reason in reasons:
            assert valid({**RUN, "outcome": outcome, "reason": reason})
            others = {other for other in record.REASONS if other != outcome}
            assert not any(valid({**RUN, "outcome": other, "reason": reason}) for other in others)


def test_every_event_of_the_contract_has_a_schema():
    valid = Draft202012Validator(schemas.schema("event")).is_valid
    head = {"v": 1, "seq": 1, "at": "2026-11-23T09:00:00Z"}
    assert valid({**head, "event": "config_unsettled"})
    assert valid({**head, "event": "clock_step", "from": head["at"], "to": head["at"]})
    assert not valid({**head, "event": "clock_step"})
    names = {
        event["properties"]["event"]["const"] for event in schemas.schema("event")["$defs"].values()
        if "event" in event["properties"]
    }  # fmt: skip
    assert names == {
        "started", "stopped", "unclean_stop", "config_accepted", "config_refused",
        "config_restored", "config_unsettled", "config_shrunk", "job_paused", "job_resumed",
        "secret_missing", "notify", "clock_step", "suspended", "stalled", "log_failed", "log_recovered",
        "rotated", "expired",
    }  # fmt: skip


def test_the_readme_of_the_log_names_every_field_outcome_and_reason():
    text = (ROOT / "schemas" / "README.md").read_text()
    words = set(re.findall(r"[a-z_0-9]+", text))
    assert set(TypeAdapter(record.Run).json_schema()["properties"]) <= words
    for outcome, reasons in record.REASONS.items():
        assert {outcome, *reasons} <= words
    for event in schemas.schema("event")["$defs"].values():
        assert set(event["properties"]) <= words


def run(*arguments):
    """Run `sinkd schema`; return what it printed and its exit code."""
    result = CliRunner().invoke(sinkd, ["schema", *map(str, arguments)], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr, result.return_value


def test_the_command_prints_the_schema_of_a_name_and_knows_them_all():
    assert run() == (schemas.text("jobs"), "", 0)
    assert run("plan") == (schemas.text("plan"), "", 0)
    name = next(each for each in sinkd.commands["schema"].params if each.name == "name")
    assert tuple(name.type.choices) == schemas.NAMES


def test_a_name_that_is_none_is_answered_with_those_that_are():
    with pytest.raises(BadParameter, match="'job' is not one of 'jobs', 'run'"):
        run("job")


def test_a_schema_file_that_differs_is_named_with_what_writes_it(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(schemas.text("run"), encoding="utf-8")
    assert run("run", "--check", file) == ("", "", 0)
    file.write_text(schemas.text("run").replace(": 1", ": 2", 1), encoding="utf-8")
    message = f"{file} is out of date: write it with `sinkd schema run > {file}`\n"
    assert run("run", "--check", file) == ("", message, 1)


def test_a_schema_file_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.json cannot be read: no such file or directory"):
        run("--check", tmp_path / "gone.json")
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(UsageError, match="latin cannot be read: it is not UTF-8"):
        run("--check", tmp_path / "latin")
