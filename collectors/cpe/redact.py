"""Keeps secrets out of terminals and logs: agents answer with passphrases in clear."""

import re

HIDDEN = "********"
_SECRET = re.compile(
    r"(?i)pass(word|phrase|wd)|pre_?shared_?key|psk|wep_?key|secret|token|private_?key|credential|\bpin$"
)


def is_secret(path: str) -> bool:
    """By the last name of a path: KeyPassphrase, Password, PreSharedKey, WEPKey, ... ."""
    return bool(_SECRET.search(path.rpartition(".")[2]))


def shown(path: str, value: str) -> str:
    """The value as it may be shown: hidden if secret, on one line, without control characters."""
    if value and is_secret(path):
        return HIDDEN
    return "".join(c if c.isprintable() else "?" for c in value)
