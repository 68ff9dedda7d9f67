"""Words for evidence: what was seen of one line. code -> (German, English)."""

EVIDENCE: dict[str, tuple[str, str]] = {
    "seen.no_match": ("Kein Anschluss passt zu dieser Angabe.", "No line matches this key."),
    "seen.several_matches": ("Mehrere Anschlüsse passen zu dieser Angabe.", "Several lines match this key."),
    # -- probing ---------------------------------------------------------------------------------------------------
    "seen.replied": ("Der Anschluss antwortet.", "The line answers."),
    "seen.replied_rtt": ("Der Anschluss antwortet in {rtt_ms} ms.", "The line answers in {rtt_ms} ms."),
    "seen.no_reply": ("Der Anschluss antwortet nicht.", "The line does not answer."),
    "seen.last_reply": ("Letzte Antwort des Anschlusses.", "Last answer of the line."),
    "seen.never_probed": ("Der Anschluss wurde noch nicht gemessen.", "The line has not been measured yet."),
    "seen.never_answered": (
        "Der Anschluss wird gemessen, hat aber noch nie geantwortet.",
        "The line is probed but has never answered.",
    ),
    "seen.down_since": ("Offline seit {since_ns}.", "Down since {since_ns}."),
    "seen.probe_too_old": ("Die letzte Messung ist zu alt.", "The newest measurement is too old."),
    "seen.source_blind": (
        "Die Messstation {prober} sieht seit {since_ns} nichts.",
        "The prober {prober} has been blind since {since_ns}.",
    ),
    "seen.no_loss": ("Kein Paketverlust.", "No packet loss."),
    "seen.loss": ("Paketverlust {loss_ratio}.", "Packet loss {loss_ratio}."),
    "seen.flaps": ("{flaps} Abbrüche in 24 Stunden.", "{flaps} drops in 24 hours."),
    "seen.rtt_baseline": (
        "Antwortzeit {rtt_ms} ms, sonst {baseline_ms} ms.",
        "Response time {rtt_ms} ms, usually {baseline_ms} ms.",
    ),
    # -- not measurable --------------------------------------------------------------------------------------------
    "seen.not_observable.no_address": (
        "Für den Anschluss ist keine Adresse bekannt.",
        "No address is known for the line.",
    ),
    "seen.not_observable.contested": (
        "Zwei Anschlüsse beanspruchen dieselbe Adresse.",
        "Two lines claim the same address.",
    ),
    "seen.not_observable.released": (
        "Die Sitzung ist beendet, der Anschluss hat keine Adresse.",
        "The session has ended; the line has no address.",
    ),
    "seen.not_observable.not_active": ("Der Anschluss ist nicht in Betrieb.", "The line is not in service."),
    # -- neighbours ------------------------------------------------------------------------------------------------
    "seen.siblings": (
        "{up} von {total} messbaren Nachbarn an {element} sind online.",
        "{up} of {total} observable neighbours on {element} are up.",
    ),
    "seen.too_few_siblings": (
        "Zu wenige messbare Nachbarn für einen Vergleich.",
        "Too few observable neighbours to compare with.",
    ),
    "seen.area_gasps": (
        "{gasps} Geräte an {element} haben einen Stromausfall gemeldet.",
        "{gasps} devices on {element} have reported a loss of power.",
    ),
    "seen.area_calls": (
        "{calls} Anrufe aus der Nachbarschaft ({element}) in 15 Minuten.",
        "{calls} calls from the neighbourhood ({element}) in 15 minutes.",
    ),
    # -- incidents -------------------------------------------------------------------------------------------------
    "seen.incident": (
        "Störung {incident}: {down} von {total} Anschlüssen offline.",
        "Incident {incident}: {down} of {total} lines down.",
    ),
    "seen.down_before_outage": (
        "Dieser Anschluss war schon vor der Störung offline: Er kann einen eigenen Fehler haben.",
        "This line was down before the outage began: it may have a fault of its own.",
    ),
    "seen.incident_covers": (
        "Der Anschluss liegt im betroffenen Bereich.",
        "The line lies within the affected area.",
    ),
    "seen.incident_calls": ("Anrufe zu dieser Störung: {calls}.", "Calls about this incident: {calls}."),
    "seen.outage_over": ("Störung {incident}, beendet {end_ns}.", "Incident {incident}, ended {end_ns}."),
    "seen.outage_recovering": (
        "Störung {incident} klingt ab; der Anschluss gehörte dazu.",
        "Incident {incident} is recovering; the line was part of it.",
    ),
    "seen.planned": ("Geplante Arbeiten an {scope}.", "Planned work on {scope}."),
    # -- the line's own signs --------------------------------------------------------------------------------------
    "seen.status_suspended": ("Status des Vertrags: gesperrt.", "Status of the contract: suspended."),
    "seen.status_not_yet_active": (
        "Status des Vertrags: noch nicht aktiv.",
        "Status of the contract: not yet active.",
    ),
    "seen.dying_gasp": ("Das Gerät meldete Stromausfall.", "The device reported a loss of power."),
    "seen.los": ("Kein Lichtsignal am Anschluss (LOS).", "Loss of signal on the line (LOS)."),
    "seen.cpe_online": ("Der Router ist bei der Verwaltung angemeldet.", "The router is connected to its management."),
    "seen.cpe_offline": (
        "Der Router ist bei der Verwaltung abgemeldet.",
        "The router is disconnected from its management.",
    ),
    "seen.boots": ("{boots} Neustarts in 24 Stunden.", "{boots} restarts in 24 hours."),
    "seen.login_rejected": ("Anmeldung abgelehnt: {reason}.", "Login rejected: {reason}."),
    "seen.login_timeout": ("Das Anmeldesystem antwortet nicht.", "The login system does not answer."),
    "seen.resolver_down": (
        "Der Resolver {resolver} antwortet seit {since_ns} nicht.",
        "The resolver {resolver} has not answered since {since_ns}.",
    ),
    # -- the customer's own network --------------------------------------------------------------------------------
    "seen.wired_works": ("Mit Kabel funktioniert es.", "By cable it works."),
    "seen.wifi_weak": (
        "Der Router empfängt seine WLAN-Geräte nur schwach ({rssi}).",
        "The router receives its Wi-Fi devices only weakly ({rssi}).",
    ),
    # -- flags -----------------------------------------------------------------------------------------------------
    "seen.flag.rtt_above_baseline": (
        "Auffällig an {subject}: Antwortzeit {value} {unit} über dem Üblichen.",
        "Noticed on {subject}: response time {value} {unit} above the usual.",
    ),
    "seen.flag.loss": (
        "Auffällig an {subject}: Paketverlust {value_ratio}.",
        "Noticed on {subject}: packet loss {value_ratio}.",
    ),
    "seen.flag.flaps": ("Auffällig an {subject}: {value} Abbrüche.", "Noticed on {subject}: {value} drops."),
    "seen.flag.jitter": (
        "Auffällig an {subject}: Schwankung {value} {unit}.",
        "Noticed on {subject}: jitter {value} {unit}.",
    ),
    "seen.flag.rx_power_falling": (
        "Auffällig an {subject}: Empfangspegel fällt, {value} {unit}.",
        "Noticed on {subject}: received power falling, {value} {unit}.",
    ),
    "seen.flag.snr_falling": (
        "Auffällig an {subject}: Signal-Rausch-Abstand fällt, {value} {unit}.",
        "Noticed on {subject}: signal-to-noise ratio falling, {value} {unit}.",
    ),
    "seen.flag.line_errors": (
        "Auffällig an {subject}: {value} Übertragungsfehler je Stunde.",
        "Noticed on {subject}: {value} line errors an hour.",
    ),
    "seen.flag.retrains": (
        "Auffällig an {subject}: {value} Neusynchronisierungen am Tag.",
        "Noticed on {subject}: {value} retrains a day.",
    ),
    "seen.flag.restarts": (
        "Auffällig an {subject}: {value} Neustarts des Routers am Tag.",
        "Noticed on {subject}: {value} restarts of the router a day.",
    ),
    "seen.flag.ipv4_lost": (
        "Auffällig an {subject}: über IPv4 nicht erreichbar, über IPv6 schon.",
        "Noticed on {subject}: it does not answer over IPv4, but does over IPv6.",
    ),
    "seen.flag.ipv6_lost": (
        "Auffällig an {subject}: über IPv6 nicht erreichbar, über IPv4 schon.",
        "Noticed on {subject}: it does not answer over IPv6, but does over IPv4.",
    ),
    "seen.flag.other": (
        "Auffällig an {subject}: {reason}, {value} {unit}.",
        "Noticed on {subject}: {reason}, {value} {unit}.",
    ),
}
