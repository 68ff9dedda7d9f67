"""Words for the helpdesk: what to say, to do, and not to do. code -> (German, English)."""

DESK: dict[str, tuple[str, str]] = {}
