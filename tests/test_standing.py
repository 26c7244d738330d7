"""What the events say of now."""

from sinkd.instant import rfc3339
from sinkd.standing import InUse, Refusal, Standing, problem_text, standing

NOW = 1_795_428_000  # 2026-11-23T10:00Z


def event(name, seq=1, **fields):
    return {"v": 1, "seq": seq, "at": rfc3339(NOW - 100), "event": name, **fields}


def paused(until, job="a"):
    return event("job_paused", job=job, until=rfc3339(until), reason="maintenance", by="ann")


def test_a_refusal_shows_until_a_file_is_accepted_or_restored():
    refused = event("config_refused", revision="b" * 64, problems=[], total=0)
    assert standing([refused], NOW).refused == Refusal("b" * 12, "it cannot be read")
    assert standing([refused, event("config_restored", revision="a" * 64)], NOW).refused is None
    accepted = event("config_accepted", revision="c" * 64)
    assert standing([refused, accepted], NOW) == Standing(in_use=InUse("c" * 12, NOW - 100))


def test_a_pause_shows_until_it_is_over_or_ended():
    assert standing([paused(NOW + 1)], NOW).pauses["a"].by == "ann"
    assert not standing([paused(NOW)], NOW).pauses
    assert not standing([paused(NOW + 1), event("job_resumed", job="a", by="ann")], NOW).pauses


def test_events_that_lack_a_field_or_are_unknown_are_passed_over():
    odd = [event("job_paused"), event("job_resumed", job=[]), event("moon_landed")]
    assert standing([*odd, paused(NOW + 1)], NOW).pauses.keys() == {"a"}


def test_a_problem_is_told_with_its_place_and_how_many_more_there_are():
    first = {"code": "SNK104", "line": 14, "column": 23, "message": "`x` must be a number"}
    refused = event("config_refused", revision=None, problems=[first], total=3)
    assert problem_text(refused) == "14:23 `x` must be a number (and 2 more)"
    assert problem_text(refused | {"total": 1}) == "14:23 `x` must be a number"
