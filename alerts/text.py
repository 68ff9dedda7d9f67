"""Text from outside, made fit to be shown: one place, so that no receiver forgets it.

Control characters, lone surrogates and the marks that turn the writing direction go; line ends become one kind; what is
too long is cut with an ellipsis. Escaping for Slack's mrkdwn and for HTML comes after, and last.
"""

import re
import unicodedata

# Bidirectional controls can make a name read as another one; U+2028/9 are line ends to some.
_BIDI = {0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_LINE_ENDS = re.compile(r"\r\n|\r|\x0b|\x0c|\x85|\u2028|\u2029")
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def clean(text: str, limit: int) -> str:
    """Printable text of at most `limit` characters; newlines and tabs stay."""
    text = _LINE_ENDS.sub("\n", text[: limit * 4])
    kept = "".join(c for c in text if c in "\n\t" or not _hidden(c))
    return cut(kept, limit)


def one_line(text: str, limit: int) -> str:
    """As `clean`, with every run of white space one blank: for headers, titles and labels."""
    return cut(" ".join(clean(text, limit * 2).split()), limit)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) in _BIDI


def mrkdwn(text: str) -> str:
    """Escape for Slack: with these three characters gone no mention, channel or link can be written."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_mail_address(text: str) -> bool:
    """A plain ASCII address without a name: what may stand in an envelope."""
    return len(text) <= 254 and _MAIL.fullmatch(text) is not None and ".." not in text
