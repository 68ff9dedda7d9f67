"""What is known of the customer's own network: the agent's question answered, and the router's Wi-Fi telemetry."""

from correlation.verdict.facts import LineFacts
from correlation.verdict.finding import CPE, Finding, about_line, also, codes, seen
from monitor.records import Confidence, Evidence, VerdictCode

# Below this a client of most makers falls to the lowest rates and drops packets (the design rule for data is -70 dBm).
WEAK_DBM = -75.0
FRESH_S = 1800.0
CUSTOMER = "customer"


def wifi_only(f: LineFacts) -> Finding | None:
    """The line answers, and by cable it works, or the router sees its Wi-Fi clients only weakly. A test by cable that
    fails says that it is not the Wi-Fi, whatever the signal is."""
    home, weak = f.at_home, _weak(f)
    if not f.answers or home.wired_works is False or not (home.wired_works or weak):
        return None
    evidence: list[Evidence] = []
    if home.wired_works:
        evidence.append(seen(f, "seen.wired_works", f.now_ns, CUSTOMER))
    if weak and home.wifi_rssi_dbm is not None:
        evidence.append(seen(f, "seen.wifi_weak", home.wifi_ns, CPE, rssi=f"{home.wifi_rssi_dbm:.0f} dBm"))
    if f.flags:
        return also(VerdictCode.WIFI_ONLY)  # the line itself is not beyond doubt
    both = bool(home.wired_works and weak)
    return Finding(
        VerdictCode.WIFI_ONLY,
        Confidence.SURE if both else Confidence.LIKELY if home.wired_works else Confidence.UNCLEAR,
        "resolved_wifi",
        say=codes("say.wifi_only" if home.wired_works else "say.wifi_weak"),
        steps=codes("step.move_router", "step.change_channel", "step.ask_wired")
        if not home.wired_works
        else codes("step.move_router", "step.change_channel", "step.restart_devices"),
        do_not=codes("dont.dispatch", "dont.factory_reset"),
        evidence=(*evidence, *about_line(f)),
    )


def _weak(f: LineFacts) -> bool:
    home = f.at_home
    fresh = home.wifi_ns > 0 and f.age_s(home.wifi_ns) <= FRESH_S
    return fresh and home.wifi_rssi_dbm is not None and home.wifi_rssi_dbm < WEAK_DBM
