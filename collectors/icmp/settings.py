"""Settings of the ICMP prober: section [icmp] of the configuration."""

import math

import msgspec

from monitor.inventory.address import parse_address
from monitor.records import Reference

NODE_KINDS = ("olt", "msan", "dslam", "cmts", "site", "handover")


class IcmpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How lines, nodes and reference targets are probed.

    `enabled`: False: no prober is started.
    `interval_s`: every line is probed once in this time, at an even rate.
    `timeout_s`: a reply that comes later than this does not count.
    `probes`: probes per line and round (1 to 100); with more than one, loss and jitter are per round.
    `spacing_s`: between two probes of the same line in a round.
    `rate_max_pps`: never more probes a second than this in the scheduled round; a round that does not fit is said.
    `node_max_pps`: never more probes a second than this to the lines of one access node in the scheduled round.
    `node_kinds`: which levels of a path are access nodes; lines without one count by the third level of their path.
    `mode`: the socket: "auto" (raw if permitted, else unprivileged), "raw" or "datagram".
    `netns`: probe from this network namespace, e.g. /run/netns/probe or /proc/PID/ns/net; empty: from here.
    `wire`: the Unix socket of a simulated network instead of real sockets; empty: real.
    `references`: targets that answer while the prober can see: [[icmp.references]] name, address, element.
    `reference_interval_s`, `reference_probes`: how often and how often at once the references are probed.
    `elements`: also probe the management addresses of elements.csv.
    `confirm_pps`: budget of probes a second for confirmations and lookups together.
    `confirm_node_pps`, `confirm_bng_pps`: how much of that one access node and one `bng:` group may be given.
    `confirm_spacing_s`: between two probes of the same line in a confirmation.
    `restart_max_s`: a prober process that ended is started again after 1 s, then 2 s, up to this.
    """

    enabled: bool = True
    interval_s: float = 60.0
    timeout_s: float = 1.0
    probes: int = 1
    spacing_s: float = 1.0
    rate_max_pps: float = 20_000.0
    node_max_pps: float = 500.0
    node_kinds: tuple[str, ...] = NODE_KINDS
    mode: str = "auto"
    netns: str = ""
    wire: str = ""
    references: tuple[Reference, ...] = ()
    reference_interval_s: float = 5.0
    reference_probes: int = 3
    elements: bool = True
    confirm_pps: float = 3000.0
    confirm_node_pps: float = 300.0
    confirm_bng_pps: float = 1500.0
    confirm_spacing_s: float = 0.2
    restart_max_s: float = 60.0

    def __post_init__(self) -> None:
        positive = ("interval_s", "timeout_s", "spacing_s", "rate_max_pps", "node_max_pps", "reference_interval_s")
        for name in (*positive, "confirm_pps", "confirm_node_pps", "confirm_bng_pps", "restart_max_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"icmp.{name} must be above 0, not {getattr(self, name):g}")
        for name in ("probes", "reference_probes"):
            if not 1 <= getattr(self, name) <= 100:
                raise ValueError(f"icmp.{name} must be from 1 to 100, not {getattr(self, name)}")
        if not 0.01 <= self.confirm_spacing_s <= 10:
            raise ValueError(f"icmp.confirm_spacing_s must be from 0.01 to 10, not {self.confirm_spacing_s:g}")
        if self.mode not in ("auto", "raw", "datagram"):
            raise ValueError(f"icmp.mode must be auto, raw or datagram, not {self.mode!r}")
        if self.netns and self.wire:
            raise ValueError("icmp.netns and icmp.wire exclude each other: keep one")
        busy_s = self.timeout_s + (self.probes - 1) * self.spacing_s
        if busy_s >= self.interval_s:
            raise ValueError(
                f"icmp.interval_s ({self.interval_s:g}) must be longer than the probes of one line take: timeout_s and "
                f"(probes - 1) x spacing_s make {busy_s:g} s"
            )
        for reference in self.references:
            if parse_address(reference.address) is None:
                wrong = f"{reference.address!r} is not an IP address (names are not resolved)"
                raise ValueError(f"icmp.references: {reference.name}: {wrong}")
        names = [reference.name for reference in self.references]
        if len(set(names)) < len(names):
            raise ValueError("icmp.references: every reference needs a name of its own")
