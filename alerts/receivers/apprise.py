"""Everything else through Apprise: Teams, Matrix, Telegram, PagerDuty and some hundred more, by one address each.

Imported only when one is configured. Apprise blocks, so it runs beside the loop; it says only whether it worked, so a
failure counts as the service being away. The address holds tokens and stands in no message of ours.
"""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

from alerts.message import Message
from alerts.receivers.base import Pacer, Unreachable
from alerts.receivers.threads import BlockingCalls
from alerts.settings import AppriseSettings
from alerts.text import cut
from monitor.clock import Clock
from monitor.secret import SecretProblem, read_secret

TEXT_LIMIT = 3000


class AppriseReceiver:
    in_place = False
    summaries = True
    repeat_s = 0.0

    def __init__(self, settings: AppriseSettings, clock: Clock, name: str) -> None:
        """Raises SecretProblem when the address cannot be read or is none; ValueError when Apprise is missing."""
        where = f"alerts.apprise {settings.name}"
        url = read_secret(settings, "url", where) or ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its hundred plugins import what Python deprecates
            try:
                import apprise
            except ImportError:
                raise ValueError(f"{where}: Apprise is not installed: pip install 'faultline[apprise]'") from None
            logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log addresses
            self._apprise: Any = apprise.Apprise()
            known = self._apprise.add(url)
        if not known:
            raise SecretProblem(f"{where}.url: what is given is no address that Apprise knows")
        self._types = {"🟢": apprise.NotifyType.SUCCESS, "🔵": apprise.NotifyType.INFO}
        self._worst = apprise.NotifyType.FAILURE
        self.name = name
        self.update_s = settings.update_s
        self.most_per_hour = settings.most_per_hour
        self.pacer = Pacer(clock, settings.interval_s)
        self._settings = settings
        self._calls = BlockingCalls(name)
        scheme = url.partition(":")[0]
        self._where = f"{settings.name} ({scheme})"

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        await self.pacer.turn()
        news = [] if message.first else list(message.news)
        facts = [f"{fact.label}: {fact.value}" for fact in message.facts]
        parts = [*news, message.text, "\n".join(facts), message.url]
        body = cut("\n\n".join(part for part in parts if part), TEXT_LIMIT)

        def work() -> bool:
            kind = self._types.get(message.mark, self._worst)
            return bool(self._apprise.notify(title=f"{message.mark} {message.title}", body=body, notify_type=kind))

        try:
            taken = await self._calls.call(work, self._settings.timeout_s)
        except (TimeoutError, OSError, TypeError, ValueError) as error:
            raise Unreachable(f"{self._where} does not take messages ({type(error).__name__})") from None
        if not taken:
            raise Unreachable(f"{self._where} does not take messages: check the address and what it needs")
        return {"apprise": self._settings.name}

    async def check(self) -> None:
        """Apprise has no way to try without telling; the address was read when this was made."""

    async def close(self) -> None:
        return None
