"""Keeps secrets out of terminals and logs: agents answer with passphrases in clear."""

import re

HIDDEN = "********"
_SECRET = re.compile(
    r"(?i)pass(word|phrase|wd|code|$)|pwd|psk|secret|token|credential|pin\b"
    r"|(wep|wpa|wifi|network|security|encryption|private|shared|auth|api)_?key"
)


def is_secret(path: str) -> bool:
    """By the last name of a path: KeyPassphrase, Password, PreSharedKey, WEPKey, ... ."""
    return bool(_SECRET.search(path.rpartition(".")[2]))


def shown(path: str, value: str) -> str:
    """The value as it may be shown: hidden if secret, on one line, without control characters."""
    if value and is_secret(path):
        return HIDDEN
    return printable(value)


def printable(text: str) -> str:
    """On one line, without what would move a terminal's cursor: names and errors, too, are a router's own words."""
    return "".join(c if c.isprintable() else "?" for c in text)


def names_secret(text: str) -> bool:
    """Whether any word of a text that cannot be taken apart looks like a secret's name."""
    return bool(_SECRET.search(text))
