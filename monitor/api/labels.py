"""The page's own words, from the catalogues in `locale/` (gettext's .po, read with Babel at start: nothing to build).

A language is one file there and one entry in `monitor.words.LANGUAGES`.
"""

from pathlib import Path

from babel.messages.pofile import read_po

from monitor.words import LANGUAGES

FOLDER = Path(__file__).parent / "locale"


def catalogue(language: str) -> dict[str, str]:
    """key -> text. Raises ValueError for a file that is no catalogue or misses a text."""
    path = FOLDER / f"{language}.po"
    with path.open("rb") as file:
        found = {str(m.id): str(m.string) for m in read_po(file, locale=language, abort_invalid=True) if m.id}
    if empty := [key for key, text in found.items() if not text]:
        raise ValueError(f"{path}: no text for {', '.join(empty)}")
    return found


def _all() -> dict[str, tuple[str, ...]]:
    """key -> its text in each of LANGUAGES, in that order."""
    catalogues = [catalogue(language) for language in LANGUAGES]
    keys = set(catalogues[0])
    for language, one in zip(LANGUAGES, catalogues, strict=True):
        if odd := keys ^ set(one):
            raise ValueError(f"{FOLDER / language}.po: only one language has {', '.join(sorted(odd))}")
    return {key: tuple(one[key] for one in catalogues) for key in catalogues[0]}


LABELS: dict[str, tuple[str, ...]] = _all()
