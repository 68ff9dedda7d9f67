"""How people write what they look a line up by, reduced to one spelling: phone numbers and street addresses."""

import unicodedata
from dataclasses import dataclass

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


@dataclass(frozen=True, slots=True)
class PhoneRule:
    """How a country dials: `code` (49), `trunk` prefix of national numbers ("0", may be ""), `idd` prefix ("00")."""

    code: str
    trunk: str
    idd: str

    @classmethod
    def of(cls, country: str) -> "PhoneRule":
        """The rule of a country (ISO 3166, two letters). Raises ValueError for one that has no phone plan."""
        from phonenumbers import PhoneMetadata  # lazily: no other part needs it

        found = PhoneMetadata.metadata_for_region(country.upper(), None)
        if found is None:
            raise ValueError(f"{country!r} is not a country: give its two letters, as DE")
        idd = found.international_prefix or "00"
        return cls(str(found.country_code), found.national_prefix or "", idd if idd.isdigit() else "00")

    def key(self, text: str) -> str:
        """The digits of the international number, without plus: +49 (0)30 1234, 0049301234, 030/1234 -> 49301234.

        A number without any prefix is taken as a national one that lost its zero, unless it is long enough to be an
        international one that lost its plus. "" for what is too short to be a phone number.
        """
        text = text.replace("(0)", "").replace(" ", "")
        digits = text[1:] if text[:1] == "+" else text
        if not (digits.isdigit() and digits.isascii()):
            digits = "".join(c for c in text if "0" <= c <= "9")
        if len(digits) < 5:
            return ""
        if text.startswith(("+", "(+")):
            return self._without_trunk(digits)
        if digits.startswith(self.idd):
            return self._without_trunk(digits[len(self.idd) :])
        if self.trunk and digits.startswith(self.trunk):
            return self.code + digits[len(self.trunk) :]
        if digits.startswith(self.code) and len(digits) > len(self.code) + 7:
            return self._without_trunk(digits)
        return self.code + digits

    def keys(self, text: str) -> list[str]:
        """Every key that `text`, typed by a person, may mean, the likeliest first; empty when it is no phone number."""
        if text[:4].casefold() == "tel:":  # RFC 3966, as telephone systems and web pages hand it over
            text = text[4:].partition(";")[0]
        if not text or any(c.isalpha() or c in "@,:" for c in text):
            return []
        first = self.key(text)
        if not first:
            return []
        digits = "".join(filter(str.isdigit, text))
        return list(dict.fromkeys([first, digits, self.code + digits]))

    def _without_trunk(self, digits: str) -> str:
        """+49 030 1234 is a common mistake: a national number never begins with the trunk prefix 0."""
        begin = self.code + self.trunk
        if self.trunk == "0" and digits.startswith(begin):
            return self.code + digits[len(begin) :]
        return digits


GERMANY = PhoneRule("49", "0", "00")


def words_of(text: str) -> list[str]:
    """The words of an address in one spelling: case, umlauts, and the many ways to write Strasse."""
    plain = unicodedata.normalize("NFC", text).casefold().replace(",", " ").replace("-", " ").replace("/", " ")
    if not plain.isascii():
        plain = plain.translate(_UMLAUTS)
    return plain.replace("strasse", "str").replace("str.", "str ").replace(" str ", "str ").split()


def street_key(street: str) -> str:
    """A street with its house number: "Müllerstraße 5 a" and "MUELLERSTR. 5A" are the same."""
    return "".join(words_of(street))


def street_readings(text: str) -> list[tuple[str, list[str]]]:
    """Every way to read a typed address as (street key, the other words), longest street first, before or behind."""
    words = words_of(text)
    readings = [("".join(words), list[str]())]
    for size in range(len(words) - 1, 0, -1):
        readings += [("".join(words[:size]), words[size:]), ("".join(words[-size:]), words[:-size])]
    return readings
