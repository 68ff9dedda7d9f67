"""The resolver settings refuse what cannot work, by name."""

from typing import Any

import msgspec
import pytest

from collectors.dns.settings import DnsSettings

RESOLVER = {"name": "r1", "address": "192.0.2.1"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"enabled": True}, "dns.resolvers is empty"),
        ({"enabled": True, "resolvers": [RESOLVER]}, "dns.names is empty"),
        ({"resolvers": [{"name": "r1", "address": "ns1.example.net"}]}, "dns.resolvers r1: address"),
        ({"resolvers": [{"name": "r1", "address": "224.0.0.1"}]}, "dns.resolvers r1: address"),
        ({"resolvers": [{"name": "a:b", "address": "192.0.2.1"}]}, "dns.resolvers: name"),
        ({"resolvers": [{**RESOLVER, "port": 70000}]}, "dns.resolvers r1: port"),
        ({"resolvers": [RESOLVER, RESOLVER]}, "there twice"),
        ({"names": [{"name": "a..b"}]}, "dns.names"),
        ({"names": [{"name": "."}]}, "dns.names"),
        ({"names": [{"name": "example.net", "type": "PTR"}]}, "Invalid enum value 'PTR'"),
        ({"timeout_s": 0}, "dns.timeout_s"),
        ({"interval_s": 0}, "dns.interval_s"),
        ({"confirm_count": 0}, "dns.confirm_count"),
        ({"absent_zone": "a..b"}, "a..b"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_setting_that_cannot_work_is_named(table: dict[str, Any], said: str) -> None:
    """The error says which setting, and what was read."""
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(table, DnsSettings)
