"""The outbox: every incident is told once, with its newest revision, whatever crashes in between."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monitor.clock import NS
from monitor.store.outbox import Outbox
from monitor.store.state import StateStore
from tests.store.incidents import change, incident


def test_a_burst_is_one_delivery_with_the_newest_revision(store, outbox):
    """Three changes are told as one: the newest revision, with what happened in between."""
    outbox.pending("slack", 0)
    store.apply(1, [change("opened", 1), change("grew", 2)])
    store.apply(2, [change("acked", 3, acked_by="jo")])
    (delivery,) = outbox.pending("slack", 0)
    assert delivery.alert.incident == incident(3, acked_by="jo")
    assert delivery.alert.alert_id == "i1#3"
    assert delivery.whats == ("opened", "grew", "acked")
    assert delivery.is_first
    assert delivery.first_at_ns == NS
    outbox.begin(delivery)
    outbox.sent(delivery, "C1:17")
    assert outbox.pending("slack", 0) == []
    store.apply(3, [change("resolved", 4, "resolved")])
    (delivery,) = outbox.pending("slack", 0)
    assert (delivery.reference, delivery.seen_revision, delivery.whats) == ("C1:17", 3, ("resolved",))
    outbox.sent(delivery)
    assert outbox.reference("slack", "i1") == "C1:17"


def test_suspicions_are_not_told(store, outbox):
    """Nothing goes out while an incident is only suspected, nor when it is withdrawn from there."""
    store.apply(1, [change("suspected", 1, "suspected"), change("suspected", 1, "suspected", name="i2")])
    store.apply(2, [change("withdrawn", 2, "resolved")])
    assert outbox.pending("slack", 0) == []
    store.apply(3, [change("opened", 2, name="i2"), change("withdrawn", 3, "resolved", name="i2")])
    (delivery,) = outbox.pending("slack", 0)
    assert delivery.whats == ("opened", "withdrawn")


def test_each_receiver_has_its_own_state_and_order_is_by_waiting(store, outbox):
    """What one receiver was told is still new to another; the longest waiting comes first."""
    assert outbox.pending("slack", 0) == outbox.pending("mail", 0) == []
    store.apply(1, [change("opened", 1, name="i1")])
    store.apply(2, [change("opened", 1, name="i2")])
    store.apply(3, [change("grew", 2, name="i1")])
    first = outbox.pending("slack", 0, limit=1)
    assert [d.incident_id for d in first] == ["i1"]
    outbox.sent(first[0])
    assert [d.incident_id for d in outbox.pending("slack", 0)] == ["i2"]
    assert [d.incident_id for d in outbox.pending("mail", 0)] == ["i1", "i2"]
    assert (outbox.waiting("slack"), outbox.waiting("mail")) == (1, 2)


def test_a_failure_waits_and_then_tells_the_newest(store, outbox):
    """A failed delivery is due again at its time, even when there is news, and then carries the newest revision."""
    store.apply(1, [change("opened", 1)])
    (delivery,) = outbox.pending("slack", 0)
    outbox.begin(delivery)
    outbox.failed(delivery, "503", retry_at_ns=60 * NS)
    store.apply(2, [change("grew", 2)])
    assert outbox.pending("slack", 59 * NS) == []
    assert outbox.next_due_ns("slack") == 60 * NS
    (delivery,) = outbox.pending("slack", 60 * NS)
    assert (delivery.revision, delivery.attempts, delivery.in_doubt) == (2, 1, 0)
    outbox.sent(delivery)
    assert outbox.next_due_ns("slack") is None


def test_postponed_is_due_at_once_when_there_is_news(store, outbox):
    """Waiting before the first message ends with the time, or with a newer revision."""
    store.apply(1, [change("opened", 1)])
    (delivery,) = outbox.pending("slack", 0)
    outbox.postpone(delivery, 60 * NS, "waits for more")
    assert outbox.pending("slack", 30 * NS) == []
    assert outbox.pending("slack", 60 * NS) != []
    store.apply(2, [change("resolved", 2, "resolved")])
    assert outbox.next_due_ns("slack") == 0
    (delivery,) = outbox.pending("slack", 30 * NS)
    assert (delivery.revision, delivery.attempts) == (2, 0)


def test_an_intent_survives_a_crash(tmp_path):
    """After a crash between begin and sent, the delivery comes back marked in doubt."""
    store = StateStore(tmp_path / "s.sqlite")
    store.apply(1, [change("opened", 1)])
    outbox = Outbox(store)
    outbox.begin(outbox.pending("slack", 0)[0])
    store = StateStore(tmp_path / "s.sqlite")
    (delivery,) = Outbox(store).pending("slack", 0)
    assert delivery.in_doubt == 1
    assert delivery.attempts == 0
    store.close()


def test_skipped_and_dead_need_news_to_come_again(store, outbox):
    """A skipped revision is not offered again, a dead one is listed; both come back with a newer revision."""
    store.apply(1, [change("opened", 1), change("opened", 1, name="i2")])
    one, two = outbox.pending("slack", 0)
    outbox.skip(one, "silenced")
    outbox.dead(two, "channel_not_found")
    assert outbox.pending("slack", 0) == []
    (letter,) = outbox.dead_letters()
    assert (letter.incident_id, letter.revision, letter.error) == ("i2", 1, "channel_not_found")
    assert outbox.revive("slack", "i2")
    assert not outbox.revive("slack", "i1")
    assert [d.incident_id for d in outbox.pending("slack", 0)] == ["i2"]
    store.apply(2, [change("grew", 2)])
    assert {d.incident_id: d.is_first for d in outbox.pending("slack", 0)} == {"i1": True, "i2": True}
    assert outbox.dead_letters() == []


def test_a_new_receiver_is_not_told_of_the_past(store, outbox):
    """A receiver added later hears of what is unresolved; a resolved incident only if it opens again."""
    store.apply(1, [change("opened", 1, name="old"), change("opened", 1, name="now")])
    store.apply(2, [change("resolved", 2, "resolved", name="old")])
    assert [d.incident_id for d in outbox.pending("mail", 0)] == ["now"]
    store.apply(3, [change("reopened", 3, name="old")])
    assert [d.incident_id for d in outbox.pending("mail", 0)] == ["now", "old"]


class Life(RuleBasedStateMachine):
    """Changes, sends, failures and restarts in any order: each receiver ends up with the newest revision of all, and
    never sees an older one after a newer."""

    @initialize()
    def begin(self):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = StateStore(f"{self.folder.name}/s.sqlite")
        self.outbox = Outbox(self.store)
        self.revision = dict.fromkeys(("a", "b"), 0)
        self.seen = {receiver: dict.fromkeys(("a", "b"), 0) for receiver in ("slack", "mail")}
        self.seq = self.now = 0
        for receiver in self.seen:
            self.outbox.pending(receiver, 0)

    @rule(name=st.sampled_from("ab"), status=st.sampled_from(["open", "recovering", "resolved"]))
    def change(self, name, status):
        if not self.revision[name]:
            status = "open"
        self.revision[name] += 1
        self.seq += 1
        self.store.apply(self.seq, [change("grew", self.revision[name], status, name=name)])

    @rule(receiver=st.sampled_from(["slack", "mail"]), outcome=st.sampled_from(["sent", "failed", "crash"]))
    def deliver(self, receiver, outcome):
        for delivery in self.outbox.pending(receiver, self.now):
            assert delivery.revision == self.revision[delivery.incident_id] > self.seen[receiver][delivery.incident_id]
            self.outbox.begin(delivery)
            if outcome == "sent":
                self.seen[receiver][delivery.incident_id] = delivery.revision
                self.outbox.sent(delivery, f"ref-{delivery.revision}")
            elif outcome == "failed":
                self.outbox.failed(delivery, "no", self.now + 3)

    @rule()
    def time_passes(self):
        self.now += 3

    @rule()
    def restart(self):
        self.store.close()
        self.store = StateStore(f"{self.folder.name}/s.sqlite")
        self.outbox = Outbox(self.store)

    @invariant()
    def nothing_is_lost(self):
        if not hasattr(self, "store"):
            return
        for receiver, seen in self.seen.items():
            due = {d.incident_id for d in self.outbox.pending(receiver, self.now + 10)}
            assert due == {name for name in "ab" if self.revision[name] > seen[name]}

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


Life.TestCase.settings = settings(max_examples=8, stateful_step_count=15, deadline=None)
TestLife = Life.TestCase
