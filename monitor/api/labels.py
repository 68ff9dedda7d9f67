"""The page's own words. key -> (German, English)."""

LABELS: dict[str, tuple[str, str]] = {}
