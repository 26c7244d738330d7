"""Which addresses a request may go to."""

import ipaddress

import pytest

from sinkd.network import Policy, blocked

ANY = Policy()
PUBLIC = Policy(public_only=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%2",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
@pytest.mark.parametrize("lifted", [False, True])
def test_metadata_and_addresses_of_no_single_host_are_blocked_whatever_is_allowed(address, lifted):
    networks = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    policy = Policy(True, frozenset({"h"}), networks) if lifted else ANY  # noqa: FBT003
    assert "always blocked" in blocked(address, policy, "h")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
    ],
)
def test_internal_addresses_are_blocked_only_where_the_network_is_public(address):
    assert blocked(address, ANY) is None
    assert "not public" in blocked(address, PUBLIC)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_never_blocked(address):
    assert blocked(address, PUBLIC) is None


def test_an_allowed_host_may_be_internal_whatever_its_case():
    policy = Policy(public_only=True, allowed_hosts=frozenset({"agents.internal"}))
    assert blocked("10.0.0.1", policy, "Agents.Internal") is None
    assert blocked("10.0.0.1", policy, "other.internal") is not None


def test_an_allowed_network_may_be_internal_also_when_mapped():
    networks = (ipaddress.ip_network("10.0.0.0/8"),)
    policy = Policy(public_only=True, allowed_networks=networks)
    assert blocked("10.1.2.3", policy) is None
    assert blocked("::ffff:10.1.2.3", policy) is None
    assert blocked("192.168.0.1", policy) is not None
