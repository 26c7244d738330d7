"""How many runs may be in flight (T8)."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinkd.permits import SPARE_FILES, Permits, raise_file_limit


def test_a_quarter_of_the_permits_may_go_to_one_host():
    permits = Permits(8)
    assert [permits.take("a") for _ in range(3)] == [True, True, False]
    assert permits.take("b")


def test_the_share_of_a_host_can_be_set_and_is_never_nothing():
    assert Permits(8, 5).per_host == 5
    assert Permits(1).per_host == 1
    assert Permits(1).take("a")


def test_when_all_are_taken_no_host_gets_one():
    permits = Permits(2, 2)
    assert permits.take("a")
    assert permits.take("a")
    assert not permits.take("b")
    permits.give_back("a")
    assert permits.take("b")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=99))
def test_permits_are_counted_exactly_and_no_host_is_remembered_for_ever(steps):
    permits, held = Permits(5, 2), []
    for host, takes in steps:
        if takes:
            fits = len(held) < 5 and held.count(host) < 2
            assert permits.take(host) == fits
            held += [host] * fits
        elif host in held:
            held.remove(host)
            permits.give_back(host)
        assert permits.in_flight == len(held)
    for host in held:
        permits.give_back(host)
    assert permits.in_flight == 0
    assert not permits._to_host


@pytest.fixture
def file_limit():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_file_limit_is_raised_to_the_hard_one_and_bounds_the_permits(file_limit):
    _, hard = file_limit
    if hard == resource.RLIM_INFINITY:
        pytest.skip("files are not limited here")
    assert raise_file_limit(4) == 4
    assert raise_file_limit(hard) == hard - SPARE_FILES
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


@pytest.mark.parametrize(("hard", "fits"), [(resource.RLIM_INFINITY, 1024), (600, 472), (99, 1)])
def test_permits_fit_into_the_hard_limit_less_what_else_is_open(monkeypatch, hard, fits):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert raise_file_limit(1024) == fits
