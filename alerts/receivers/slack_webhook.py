"""Slack's incoming webhook, for when the Web API does not take messages, or alone.

It gives no message reference, so nothing can be changed: only news is posted, each as a message of its own. The address
is a secret and stands in no message of ours.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from alerts.guard import Forbidden, GuardedHttp
from alerts.message import Message
from alerts.receivers.base import Unreachable
from alerts.receivers.http_answer import meaning_of, raise_unless_taken
from alerts.receivers.slack_blocks import fallback, message_blocks, thread_blocks, thread_fallback
from alerts.settings import SlackSettings
from alerts.settings_base import require_url
from monitor.secret import SecretProblem


class IncomingWebhook:
    """`alone`: there is no bot token."""

    def __init__(self, url: str, settings: SlackSettings, alone: bool) -> None:
        """Raises SecretProblem when `url` is no address."""
        try:
            require_url("webhook", url)
        except ValueError:
            raise SecretProblem("alerts.slack.webhook: what is given is no http address") from None
        self.alone = alone
        self._url = url
        self._where = f"the incoming webhook at {urlsplit(url).hostname}"
        self._http = GuardedHttp(settings.timeout_s, allowed=None)

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        if handle and not message.news:
            return handle
        if handle and not message.first:
            title = {"type": "section", "text": {"type": "plain_text", "text": f"{message.mark} {message.title}"}}
            body = {"text": thread_fallback(message), "blocks": [title, *thread_blocks(message)]}
        else:
            body = {"text": fallback(message), "blocks": message_blocks(message)}
        try:
            headers = {"Content-Type": "application/json; charset=utf-8"}
            answer = await self._http.request("POST", self._url, headers, msgspec.json.encode(body))
        except (OSError, Forbidden) as error:
            raise meaning_of(self._where, error) from None
        raise_unless_taken(self._where, answer)
        return {"webhook": "sent"}

    async def check(self) -> None:
        """A connection is all that can be tried without telling anybody."""
        parts = urlsplit(self._url)
        try:
            await self._http.reach(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, Forbidden) as error:
            raise Unreachable(str(meaning_of(self._where, error))) from None
