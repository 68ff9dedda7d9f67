"""The inventory's part of the configuration file: `[inventory]`."""

from collections.abc import Mapping

import msgspec

DEFAULT_LEVELS: dict[str, tuple[str, ...]] = {
    "dsl": ("region", "exchange", "msan", "slot", "port"),
    "gpon": ("region", "exchange", "olt", "pon", "splitter"),
    "docsis": ("region", "exchange", "cmts", "mac-domain", "node", "amplifier"),
    "fwa": ("region", "site"),
    "wholesale": ("region", "partner", "handover"),
}


class InventorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the lines come from, and how the levels of a path are called per technology.

    `allowed_prefixes`: addresses outside them are refused at load (empty: any unicast address). `country`: two letters;
    how phone numbers without a country code are read.
    """

    file: str = "inventory.csv"
    elements_file: str = ""
    allowed_prefixes: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=DEFAULT_LEVELS.copy)
    country: str = "DE"
