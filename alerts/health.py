"""Whether a receiver, or what runs beside them, works."""

import msgspec


class ReceiverHealth(msgspec.Struct, frozen=True):
    """`ok` False: not working now, `text` says what is wrong and what to do. `last_ns`: when it last took a message."""

    name: str
    ok: bool
    text: str = ""
    last_ns: int | None = None
