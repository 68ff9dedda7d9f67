"""The configuration of the resolver probes: `[dns]`."""

import ipaddress
from typing import Literal

import msgspec

RecordType = Literal["A", "AAAA", "TXT", "NS", "MX", "SOA", "DNSKEY"]


class ResolverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One resolver of ours. `name` as in the inventory's groups (`resolver:NAME`); `address` is an IP address."""

    name: str
    address: str
    port: int = 53

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() or c in ";:" for c in self.name):
            raise ValueError(f"dns.resolvers: name is {self.name!r}: give a name without spaces, ';' and ':'")
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            raise ValueError(f"dns.resolvers {self.name}: address is {self.address!r}: give an IP address") from None
        if address.is_multicast or address.is_unspecified:
            raise ValueError(f"dns.resolvers {self.name}: address {self.address} is not that of one host")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"dns.resolvers {self.name}: port is {self.port}: give 1 to 65535")


class NameSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name every resolver must answer.

    `expect`: the addresses (or texts) of which at least one must be in the answer, and nothing else may be; empty:
    any answer of the type will do. `transport`: "udp" (with TCP when the answer is truncated) or "tcp" from the
    start. `signed`: the resolver validates DNSSEC and the name is signed, so the answer must carry the AD flag.
    """

    name: str
    type: RecordType = "A"
    expect: tuple[str, ...] = ()
    transport: Literal["udp", "tcp"] = "udp"
    signed: bool = False

    def __post_init__(self) -> None:
        import dns.exception
        import dns.name

        try:
            dns.name.from_text(self.name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise ValueError(f"dns.names: {self.name!r} is not a domain name: {error}") from None
        if not self.name.strip("."):
            raise ValueError("dns.names: name is empty: give a domain name")


class DnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`interval_s`: each resolver is asked every name once in it. A failure is confirmed at once by `confirm_count`
    more askings, `confirm_gap_s` apart; only if none of them is fine the resolver is called down.

    `absent_zone`: a random name below it must not exist, which finds resolvers that rewrite NXDOMAIN (empty: not
    asked). A zone of your own is best; "invalid" is answered by the resolver itself. `mixed_case`: send names in
    random case and insist on getting it back (0x20), for resolvers that preserve it.
    """

    enabled: bool = False
    interval_s: float = 30.0
    timeout_s: float = 2.0
    confirm_count: int = 3
    confirm_gap_s: float = 0.3
    resolvers: tuple[ResolverSettings, ...] = ()
    names: tuple[NameSettings, ...] = ()
    absent_zone: str = "invalid"
    mixed_case: bool = False

    def __post_init__(self) -> None:
        if not 0.1 <= self.timeout_s <= 30:
            raise ValueError(f"dns.timeout_s is {self.timeout_s}: give 0.1 to 30 seconds")
        if not 0.2 <= self.interval_s <= 3600:
            raise ValueError(f"dns.interval_s is {self.interval_s}: give 0.2 to 3600 seconds")
        if not 1 <= self.confirm_count <= 20:
            raise ValueError(f"dns.confirm_count is {self.confirm_count}: give 1 to 20")
        if not 0 <= self.confirm_gap_s <= 10:
            raise ValueError(f"dns.confirm_gap_s is {self.confirm_gap_s}: give 0 to 10 seconds")
        names = [r.name for r in self.resolvers]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"dns.resolvers: the name {twice[0]!r} is there twice: each resolver needs its own")
        if self.enabled and not self.resolvers:
            raise ValueError("dns.resolvers is empty: name the resolvers to be probed, or set dns.enabled = false")
        if self.enabled and not self.names:
            raise ValueError("dns.names is empty: name what the resolvers are asked, or set dns.enabled = false")
        if self.absent_zone not in ("", "invalid"):
            NameSettings(self.absent_zone)
