"""Which addresses a request may go to: pure, asked about every address before a connection.

The address connected to is what counts, not the name: that closes DNS rebinding and spellings
such as `http://0x7f.1` and `http://2130706433`.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_ALWAYS: Final = tuple(
    (ip_network(network), why)
    for network, why in (
        ("169.254.0.0/16", "link-local, where clouds serve credentials"),
        ("fe80::/10", "link-local"),
        ("fd00:ec2::254/128", "a cloud's metadata service"),
        ("100.100.100.200/32", "a cloud's metadata service"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("192.0.0.192/32", "a cloud's metadata service"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("0.0.0.0/32", "the unspecified address"),
        ("::/128", "the unspecified address"),
        ("255.255.255.255/32", "broadcast"),
    )
)
# An IPv6 address of these carries an IPv4 address in its last 32 bits: mapped (RFC 4291),
# compatible (RFC 4291, obsolete), NAT64 (RFC 6052, RFC 8215).
_CARRIERS: Final = tuple(
    IPv6Network(network) for network in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_SITE_LOCAL: Final = IPv6Network("fec0::/10")


@dataclass(frozen=True, slots=True)
class Policy:
    """What `run` was started with: `--network`, `--allow-host` and `--allow-cidr`.

    `public_only` also blocks private, loopback, shared and unique local addresses, except those
    of `allowed_hosts` (lower case) and in `allowed_networks`. Neither lifts what is always blocked.
    """

    public_only: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()


def blocked(address: str, policy: Policy, host: str = "") -> str | None:
    """Return why no connection may be made to this address of the host; None when it may."""
    effective = _effective(ip_address(address))
    for network, why in _ALWAYS:
        if effective in network:
            return f"{address} is {why}: always blocked"
    if not policy.public_only or host.lower() in policy.allowed_hosts or _public(effective):
        return None
    if any(effective in network for network in policy.allowed_networks):
        return None
    return f"{address} is not public, and `--network public` is set"


def _effective(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries, else the address itself."""
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    return carried or address


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address.sixtofour:
        return address.sixtofour
    if int(address) > 1 and any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _public(address: Address) -> bool:
    return address.is_global and address not in _SITE_LOCAL
