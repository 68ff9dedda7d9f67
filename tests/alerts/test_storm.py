"""The storm scenario, small: the daemon's engine, store and chain against a Slack that enforces its limits."""

from pathlib import Path

import pytest

from benchmarks.alerts.storm import storm


@pytest.mark.timeout(300)
async def test_one_message_per_incident_in_a_storm(tmp_path: Path) -> None:
    """An exchange goes down twice while small faults go on: one message for each incident and channel, the first
    within five seconds, never two calls to a channel within a second, nothing refused, nothing left untold or open."""
    figures = await storm(exchange_lines=320, small_faults=3, cycles=2, folder=tmp_path, tail_s=120)
    assert figures.incidents == 4
    assert figures.slack_messages == figures.mail_threads == figures.incidents
    assert max(figures.slack_first_worst_s, figures.mail_first_worst_s) <= 5
    assert figures.slack_interval_s >= 1
    assert figures.slack_refused == 0
    assert figures.untold == []
    assert (figures.open_at_the_end, figures.waiting_at_the_end) == (0, 0)
