"""Words for incidents: what failed, and the numbers that decided. code -> (German, English)."""

CAUSES: dict[str, tuple[str, str]] = {}
