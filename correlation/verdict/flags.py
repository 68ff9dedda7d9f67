"""A flag as a sentence an agent can read out: which code, with which parameters."""

from monitor.records import Coded

REASONS = frozenset(
    {
        "rtt_above_baseline",
        "loss",
        "flaps",
        "jitter",
        "rx_power_falling",
        "snr_falling",
        "line_errors",
        "retrains",
        "restarts",
        "ipv4_lost",
        "ipv6_lost",
    }
)
UNITS = {"db": "dB", "dbm": "dBm"}


def flag_words(subject: str, reason: str, value: float, unit: str) -> Coded:
    """`subject`: a line_id or `element:PATH`. A reason without words of its own is named as it is."""
    name = subject.removeprefix("element:")
    if reason == "loss":
        return Coded("seen.flag.loss", {"subject": name, "value_ratio": value})
    code = f"seen.flag.{reason}" if reason in REASONS else "seen.flag.other"
    return Coded(code, {"subject": name, "value": value, "unit": UNITS.get(unit, unit), "reason": reason})
