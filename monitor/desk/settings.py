"""The desk's part of the configuration file: `[desk]`."""

import re

import msgspec


class DeskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ranking_at`: time of day (local) at which the lines most likely to call are ranked. `ranking_history_days`: how
    far back flags and calls are looked at for it; what is kept less long counts only as long as it is kept."""

    ranking_at: str = "04:00"
    ranking_history_days: int = 180

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", self.ranking_at):
            raise ValueError(f"ranking_at is {self.ranking_at!r}: give a time of day, as 04:00")
        if not 28 <= self.ranking_history_days <= 1000:
            raise ValueError(f"ranking_history_days is {self.ranking_history_days}: give 28 to 1000 days")
