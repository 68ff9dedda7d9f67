"""Floor 0: codes with parameters become sentences, in German and English.

Each file here holds one table: code -> (German, English). A parameter stands in braces; its suffix says how it is
written: `{since_ns}` a local time, `{x_s}` a duration, `{x_ratio}` a percentage, others as they are. A parameter
`since_on_ns` fills `{since_ns}` too, with the day before the time: for times that are not of today.
"""

from datetime import UTC, datetime, tzinfo

from monitor.records.incidents import Coded, Param
from monitor.words.alerts import ALERTS
from monitor.words.causes import CAUSES
from monitor.words.desk import DESK
from monitor.words.evidence import EVIDENCE
from monitor.words.ranking import RANKING

__all__ = ["LANGUAGES", "TABLES", "duration", "local_day_time", "local_time", "say", "say_all"]

LANGUAGES = ("de", "en")
TABLES: dict[str, dict[str, tuple[str, str]]] = {
    "alerts": ALERTS,
    "causes": CAUSES,
    "desk": DESK,
    "evidence": EVIDENCE,
    "ranking": RANKING,
}
_ALL: dict[str, tuple[str, str]] = {code: words for table in TABLES.values() for code, words in table.items()}

# strftime would follow the machine's locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def say(coded: Coded, language: str = "en", zone: tzinfo = UTC) -> str:
    """The sentence for a code. Raises KeyError for a code or a parameter that is not known: a defect, not an input."""
    template = _ALL[coded.code][LANGUAGES.index(language)]
    return template.format_map(
        {k.replace("_on_ns", "_ns"): _write(k, v, language, zone) for k, v in coded.params.items()},
    )


def say_all(codes: tuple[Coded, ...], language: str = "en", zone: tzinfo = UTC) -> str:
    return " ".join(say(coded, language, zone) for coded in codes)


def _write(name: str, value: Param, language: str, zone: tzinfo) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_on_ns"):
        return local_day_time(int(value), language, zone)
    if name.endswith("_ns"):
        return local_time(int(value), language, zone)
    if name.endswith("_s"):
        return duration(float(value), language)
    if name.endswith("_ratio"):
        text = f"{float(value) * 100:.0f} %" if language == "de" else f"{float(value) * 100:.0f}%"
    elif isinstance(value, float):
        text = f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
    else:
        return f"{value:,}".replace(",", "." if language == "de" else ",")
    return text.replace(".", ",") if language == "de" else text


def local_time(at_ns: int, language: str, zone: tzinfo) -> str:
    """A clock time as one says it on the phone: 14:05 (German: 14:05 Uhr)."""
    text = datetime.fromtimestamp(at_ns // 1_000_000_000, zone).strftime("%H:%M")
    return f"{text} Uhr" if language == "de" else text


def local_day_time(at_ns: int, language: str, zone: tzinfo) -> str:
    """The same with its day: 23 Nov 14:05 (German: 23.11. um 14:05 Uhr)."""
    when = datetime.fromtimestamp(at_ns // 1_000_000_000, zone)
    if language == "de":
        return f"{when.day}.{when.month}. um {when:%H:%M} Uhr"
    return f"{when.day} {_MONTHS[when.month - 1]} {when:%H:%M}"


def duration(seconds: float, language: str) -> str:
    """40 s, 5 min, 3 h, 2 days: rounded to what matters."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} {'Std.' if language == 'de' else 'h'}"
    return f"{seconds / 86400:.0f} {'Tagen' if language == 'de' else 'days'}"
