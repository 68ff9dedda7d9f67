"""Words for evidence: what was seen of one line. code -> (German, English)."""

EVIDENCE: dict[str, tuple[str, str]] = {}
