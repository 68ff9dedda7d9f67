"""The settings refuse what cannot work, naming the setting."""

from typing import Any

import msgspec
import pytest

from alerts.settings import AlertSettings

SLACK = {"enabled": True, "token_env": "X", "channel": "#noc"}
EMAIL = {"enabled": True, "sender": "a@isp.example", "recipients": ["b@isp.example"], "tls": "none"}


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ({"slack": {**SLACK, "channel": ""}}, "channel"),
        ({"slack": {**SLACK, "token_env": ""}}, "token_file"),
        ({"slack": {**SLACK, "token_file": "x"}}, "token_file"),
        ({"slack": {**SLACK, "base_url": "ftp://x/"}}, "base_url"),
        ({"slack": {**SLACK, "base_url": "https://u:p@x/"}}, "base_url"),
        ({"slack": {**SLACK, "timeout_s": 0}}, "timeout_s"),
        ({"slack": {**SLACK, "tokn": "x"}}, "tokn"),
        ({"email": {**EMAIL, "sender": "nobody"}}, "sender"),
        ({"email": {**EMAIL, "sender": "a@x\r\nBcc: b@x"}}, "sender"),
        ({"email": {**EMAIL, "recipients": []}}, "recipients"),
        ({"email": {**EMAIL, "recipients": ["a@b.c", "Kim <k@b.c>"]}}, "recipients"),
        ({"email": {**EMAIL, "port": 0}}, "port"),
        ({"email": {**EMAIL, "username": "u"}}, "password_file"),
        ({"email": {**EMAIL, "username": "u", "password_env": "P"}}, "unencrypted"),
        ({"email": {**EMAIL, "tls": "maybe"}}, "tls"),
        ({"language": "fr"}, "language"),
        ({"page_url": "javascript:alert(1)"}, "page_url"),
        ({"kinds": ["outage", "rain"]}, "kinds"),
        ({"min_severity": "cleared"}, "min_severity"),
        ({"min_lines": -1}, "min_lines"),
        ({"retry_first_s": 100, "retry_most_s": 10}, "retry_most_s"),
    ],
)
def test_refused(raw: dict[str, Any], names: str) -> None:
    """What is wrong is refused at load and named."""
    with pytest.raises(msgspec.ValidationError, match=names):
        msgspec.convert(raw, AlertSettings)


def test_defaults_and_full() -> None:
    """Nothing configured is fine (nobody is told); a full configuration is taken as written."""
    assert not AlertSettings().slack.enabled
    settings = msgspec.convert({"slack": SLACK, "email": EMAIL, "kinds": ["outage"], "language": "de"}, AlertSettings)
    assert settings.slack.enabled
    assert settings.email.recipients == ("b@isp.example",)
