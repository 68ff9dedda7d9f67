"""Personal data shown only as far as needed to tell lines apart: what is left helps to ask, not to answer."""

HIDDEN = "…"


def initials(name: str) -> str:
    """Ada Lovelace -> A… L…"""
    return " ".join(word[0] + HIDDEN for word in name.split())


def masked_street(street: str) -> str:
    """Lindenweg 12 -> Lind… : the beginning of the street, never the number."""
    return street[: min(4, max(1, len(street) // 3))] + HIDDEN if street else ""


def masked_phone(phone: str) -> str:
    """+49 30 555012 -> …12"""
    digits = "".join(c for c in phone if c.isdigit())
    return HIDDEN + digits[-2:] if len(digits) >= 5 else ""


def masked_id(text: str) -> str:
    """C10042 -> C1…2 ; short ones keep only their first character."""
    if len(text) <= 4:
        return text[:1] + HIDDEN if text else ""
    return text[:2] + HIDDEN + text[-1]
