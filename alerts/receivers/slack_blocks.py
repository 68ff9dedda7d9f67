"""A message as Slack blocks, within Slack's documented limits.

Text from outside stands only in `plain_text` objects, which Slack never parses; mrkdwn holds our own labels and the
link. So neither a mention nor formatting can be injected, and names can be copied as they are. Limits: 50 blocks,
header 150 characters, section 3,000, ten fields of 2,000 each, about 13,000 characters in all.
"""

from typing import Any

from alerts.message import Fact, Message
from alerts.text import cut, mrkdwn

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FALLBACK_LIMIT = 3000
FACTS_A_SECTION = 5  # each is two fields, and a section holds ten
FACTS_LIMIT = 25
VALUE_LIMIT = 2000
BUTTON_LIMIT = 75
URL_LIMIT = 2500  # Slack: 3,000
ACK_ACTION = "faultline_ack"

Block = dict[str, Any]


def message_blocks(message: Message, with_button: bool = False) -> list[Block]:
    """`with_button`: offer to acknowledge, where there is something to acknowledge."""
    blocks: list[Block] = [{"type": "header", "text": _plain(f"{message.mark} {message.title}", HEADER_LIMIT)}]
    if message.text:
        blocks.append({"type": "section", "text": _plain(message.text, SECTION_LIMIT)})
    facts = message.facts[:FACTS_LIMIT]
    for start in range(0, len(facts), FACTS_A_SECTION):
        part = facts[start : start + FACTS_A_SECTION]
        blocks.append({"type": "section", "fields": [field for fact in part for field in _fields(fact)]})
    buttons: list[Block] = []
    if with_button and message.ack_words:
        text = _plain(message.ack_words, BUTTON_LIMIT)
        ack = {"type": "button", "action_id": ACK_ACTION, "text": text, "style": "primary"}
        buttons.append({**ack, "value": cut(message.incident_id, VALUE_LIMIT)})
    link_fits = 0 < len(message.url) <= URL_LIMIT
    if buttons and link_fits:
        text = _plain(message.open_words, BUTTON_LIMIT)
        buttons.append({"type": "button", "action_id": "faultline_open", "text": text, "url": message.url})
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    elif link_fits:
        link = f"<{mrkdwn(message.url).replace('|', '%7C')}|{mrkdwn(message.open_words)}>"
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]})
    return blocks


def thread_blocks(message: Message) -> list[Block]:
    return [{"type": "section", "text": _plain("\n".join(message.news), SECTION_LIMIT)}]


def fallback(message: Message) -> str:
    """The notification's text; parsed as mrkdwn by Slack, therefore escaped."""
    return mrkdwn(cut(f"{message.mark} {message.title}. {message.text}".strip(), FALLBACK_LIMIT // 2))


def thread_fallback(message: Message) -> str:
    return mrkdwn(cut(" ".join(message.news), FALLBACK_LIMIT // 2))


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": cut(text, limit) or "-", "emoji": False}


def _fields(fact: Fact) -> list[Block]:
    return [{"type": "mrkdwn", "text": f"*{mrkdwn(fact.label)}*"}, _plain(fact.value, VALUE_LIMIT)]
