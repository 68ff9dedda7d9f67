"""Text from outside is made harmless whatever it is."""

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.chain import build_writer
from alerts.receivers.email_body import compose, message_id
from alerts.receivers.slack_blocks import message_blocks
from alerts.settings import AlertSettings, EmailSettings
from alerts.text import clean, mrkdwn, one_line
from alerts.told import Told, read_told
from monitor.records import Alert, Coded, Note, Scope, ScopeKind
from tests.alerts.samples import START_NS, ZONE, incident
from tests.alerts.slack_server import _wrong

ANY = st.text(st.characters(), max_size=300)  # surrogates and controls too
MAIL = EmailSettings(enabled=True, tls="none", sender="a@isp.example", recipients=("b@isp.example",))


@given(ANY, st.integers(1, 200))
def test_clean(text: str, limit: int) -> None:
    """No control character, surrogate or direction mark is left, and the limit holds."""
    for made in (clean(text, limit), one_line(text, limit)):
        assert len(made) <= limit
        assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") for c in made)
        assert not set(made) & set("\u202e\u2066\u200f\u2028")
    assert not set(one_line(text, limit)) & set("\n\t")


@given(ANY)
def test_mrkdwn(text: str) -> None:
    """Nothing that Slack reads as a mention or a link is left."""
    assert not set(mrkdwn(text)) & set("<>")


@given(ANY, ANY, ANY)
def test_every_message_is_fit_to_send(name: str, scope: str, words: str) -> None:
    """Whatever an incident is called and says, Slack's rules hold and the mail has exactly its own headers."""
    item = incident(
        name=name,
        scope=Scope(ScopeKind.AREA, scope),
        explanation=(Coded(words, {words: words}),),
        acked_by=words,
        notes=(Note(START_NS, scope, words),),
    )
    message = build_writer(AlertSettings(page_url="https://f.example"), ZONE).write(
        Told(handle={"a": "b"}), Alert("x", START_NS, "opened", item)
    )
    body: dict[str, Any] = {"text": "x", "blocks": message_blocks(message)}
    assert _wrong(body) == ""
    mail = compose(message, MAIL, {"message_id": "<a@b>", "subject": words})
    assert mail.as_bytes().isascii()
    assert len(mail.keys()) == len(set(mail.keys()))


@given(ANY, ANY)
def test_message_ids_differ_as_incidents_do(a: str, b: str) -> None:
    """Two incidents share a Message-ID only if their ids are the same (up to what cannot be encoded)."""
    same = a.encode("utf-8", "replace") == b.encode("utf-8", "replace")
    assert (message_id(a, "isp.example") == message_id(b, "isp.example")) == same
    assert message_id(a, "isp.example").isascii()


@given(st.text())
def test_foreign_reference_is_never_told(text: str) -> None:
    """A reference that something else wrote counts as never told instead of failing."""
    assert isinstance(read_told(text), Told)


def test_told_survives_the_store() -> None:
    """What was told comes back from its text as it was."""
    told = Told(handle={"channel": "C1", "ts": "1.2"}, revision=7, status="open", lines=5, recovering_said=True)
    assert read_told(told.encode()) == told
