"""What the daemon and its prober say to each other. Columns that travel beside a message are named in its docstring.

Times in messages are monotonic nanoseconds, which both processes read from the same clock; only the daemon knows UTC.
"""

import msgspec

from monitor.records.rounds import RoundNote


class Start(msgspec.Struct, frozen=True, tag=True):
    """To the prober, once, first: how to probe."""

    mode: str
    netns: str
    wire: str
    interval_s: float
    timeout_s: float
    probes: int
    spacing_s: float
    rate_pps: float
    reference_interval_s: float
    reference_probes: int
    extra_pps: float
    extra_spacing_s: float
    source: str
    round_id: int  # the first round gets this number


class Targets(msgspec.Struct, frozen=True, tag=True):
    """To the prober: all targets, in the order in which to probe them; the rows before `round_rows` make the
    scheduled round, those behind are the references. `stretch_s` is the shortest time the round may take.

    Columns: `family` uint8 (4, 6, 0: not now), `high`, `low` uint64.
    """

    version: int
    round_rows: int
    stretch_s: float


class Rebind(msgspec.Struct, frozen=True, tag=True):
    """To the prober: some targets have another address. Columns: `position` int32, `family`, `high`, `low`."""

    version: int


class Ask(msgspec.Struct, frozen=True, tag=True):
    """To the prober: probe these now. Column: `position` int32, of the targets of `version`."""

    request_id: int
    version: int
    count: int
    lookup: bool
    deadline_ns: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """From the prober: the sockets are open; `sockets` says which, for people."""

    sockets: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """From the prober, last: why it cannot work and what to do."""

    text: str


class Slice(msgspec.Struct, frozen=True, tag=True):
    """From the prober: finished rows. `version` is that of the last Targets or Rebind that it had taken in.

    Columns: `position` int32, `at_ns` int64 (monotonic; 0: never sent), `sent`, `received` uint16, `rtt_ms` and, with
    several probes a target, `rtt_min_ms`, `rtt_max_ms`, `jitter_ms` float32.
    """

    version: int
    round_id: int
    request_id: int


class Finished(msgspec.Struct, frozen=True, tag=True):
    """From the prober: a scheduled round has ended. `lost_slices` could not be handed over since the last note."""

    note: RoundNote
    lost_slices: int = 0


Message = Start | Targets | Rebind | Ask | Ready | Failed | Slice | Finished
_DECODER = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> Message:
    """Raises msgspec.MsgspecError."""
    message: Message = _DECODER.decode(data)
    return message
