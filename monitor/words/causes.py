"""Words for incidents: what failed, and the numbers that decided. code -> (German, English)."""

CAUSES: dict[str, tuple[str, str]] = {
    # What failed, with the count that decided.
    "element_down": (
        "{down} von {observable} messbaren Anschlüssen an {scope} sind innerhalb von {spread_s} ausgefallen.",
        "{down} of {observable} observable lines on {scope} went down within {spread_s}.",
    ),
    "partial_failure": (
        (
            "Teilausfall: {down} von {observable} messbaren Anschlüssen an {scope} sind innerhalb von {spread_s} "
            "ausgefallen."
        ),
        "Partial failure: {down} of {observable} observable lines on {scope} went down within {spread_s}.",
    ),
    "group_down": (
        (
            "{down} von {observable} messbaren Anschlüssen der Gruppe {scope} sind innerhalb von {spread_s} ausgefallen, "
            "an {ports} verschiedenen Ports."
        ),
        (
            "{down} of {observable} observable lines of the group {scope} went down within {spread_s}, on {ports} "
            "different ports."
        ),
    ),
    "area_down": (
        (
            "{down} von {observable} messbaren Anschlüssen im Umkreis von {radius} km um {lat}, {lon} sind innerhalb von "
            "{spread_s} ausgefallen, an {ports} verschiedenen Ports: kein einzelnes Netzelement erklärt das."
        ),
        (
            "{down} of {observable} observable lines within {radius} km of {lat}, {lon} went down within {spread_s}, on "
            "{ports} different ports: no single element explains it."
        ),
    ),
    "power_cut": (
        (
            "{down} von {observable} messbaren Anschlüssen im Umkreis von {radius} km um {lat}, {lon} sind innerhalb von "
            "{spread_s} ausgefallen, an {ports} verschiedenen Ports; {gasps} Geräte meldeten Stromausfall."
        ),
        (
            "{down} of {observable} observable lines within {radius} km of {lat}, {lon} went down within {spread_s}, on "
            "{ports} different ports; {gasps} devices reported a loss of power."
        ),
    ),
    "slow_onset": (
        "{down} von {observable} messbaren Anschlüssen unter {scope} sind nach und nach ausgefallen, in {spread_s}.",
        "{down} of {observable} observable lines under {scope} went down one after the other, over {spread_s}.",
    ),
    # Why that is no chance.
    "by_chance": (
        "Zufällig wären {expected} zu erwarten gewesen.",
        "By chance {expected} were to be expected.",
    ),
    "by_chance_none": (
        "Zufällig wäre weniger als einer von zehn solchen Fällen auch nur mit einem Anschluss zu erwarten.",
        "By chance not even one line would be expected in ten such cases.",
    ),
    "siblings_fine": (
        "Die {siblings} benachbarten Elemente unter {parent} sind in Ordnung.",
        "Its {siblings} siblings under {parent} are up.",
    ),
    "sibling_fine": (
        "Das benachbarte Element unter {parent} ist in Ordnung.",
        "Its sibling under {parent} is up.",
    ),
    "siblings_partly": (
        "Von den {siblings} benachbarten Elementen unter {parent} sind {fine} in Ordnung.",
        "Of its {siblings} siblings under {parent}, {fine} are up.",
    ),
    "rest_fine": (
        "Außerhalb sind {up} von {others} Anschlüssen in Ordnung.",
        "Outside it {up} of {others} lines are up.",
    ),
    "gasps": (
        "{gasps} Geräte meldeten Stromausfall, bevor sie verstummten.",
        "{gasps} devices reported a loss of power before they fell silent.",
    ),
    "wills": (
        "{wills} Geräte haben auch die Verbindung zum Broker verloren.",
        "{wills} devices have lost their connection to the broker as well.",
    ),
    "node_silent": (
        "{scope} antwortet auch selbst nicht mehr.",
        "{scope} itself no longer answers either.",
    ),
    "node_answers": (
        "{scope} selbst antwortet noch: der Fehler liegt eher dahinter oder davor.",
        "{scope} itself still answers: the fault is rather behind or before it.",
    ),
    "called": (
        "{calls} Kunden haben deswegen angerufen.",
        "{calls} customers have called about it.",
    ),
    "coverage_low": (
        "Nur {observable} von {at_risk} Anschlüssen sind messbar.",
        "Only {observable} of {at_risk} lines can be observed.",
    ),
    "runner_up": (
        "Nächstbeste Erklärung: {scope} ({confidence_ratio}).",
        "The next best explanation is {scope} ({confidence_ratio}).",
    ),
    "nested": (
        "Diese Anschlüsse blieben tot, als {outer} zurückkam: ein weiterer Fehler darunter.",
        "These lines stayed dead when {outer} came back: another fault below it.",
    ),
    "lasted_cause": (
        (
            "Von {earlier} früheren Ausfällen mit derselben Ursache auf dieser Ebene, die so lange anhielten, war die "
            "Hälfte nach {half_s} behoben, vier von fünf nach {most_s}."
        ),
        (
            "Of {earlier} earlier outages with the same cause at this level that lasted as long, half were over within "
            "{half_s}, four in five within {most_s}."
        ),
    ),
    "lasted_level": (
        (
            "Von {earlier} früheren Ausfällen auf dieser Ebene, die so lange anhielten, war die Hälfte nach {half_s} "
            "behoben, vier von fünf nach {most_s}."
        ),
        (
            "Of {earlier} earlier outages at this level that lasted as long, half were over within {half_s}, four in "
            "five within {most_s}."
        ),
    ),
    "lasted_kind": (
        (
            "Von {earlier} früheren Ausfällen irgendwo im Netz, die so lange anhielten, war die Hälfte nach {half_s} "
            "behoben, vier von fünf nach {most_s}."
        ),
        (
            "Of {earlier} earlier outages anywhere in the network that lasted as long, half were over within {half_s}, "
            "four in five within {most_s}."
        ),
    ),
    "lasted_longer": (
        "Dauert schon länger als fast alle der {earlier} früheren: eine Schätzung gibt es nicht mehr.",
        "It already lasts longer than nearly all of the {earlier} earlier ones: there is no estimate any more.",
    ),
    "lasted_unknown": (
        "Wie lange es dauert, ist nicht bekannt: es gibt {earlier} frühere Ausfälle, nötig sind {needed}.",
        "How long it takes is not known: there are {earlier} earlier outages to go by, {needed} are needed.",
    ),
    "held_retrain": (
        "Noch nicht gemeldet: Modems, die sich gemeinsam neu verbinden, sähen bis {until_ns} ebenso aus.",
        "Not reported yet: until {until_ns}, modems that retrain together would look the same.",
    ),
    "held_telemetry": (
        "Nicht gemeldet: {speaking} Geräte senden weiter Telemetrie, nur die Pings bleiben aus.",
        "Not reported: {speaking} devices go on sending telemetry, only the pings are lost.",
    ),
    "recovered": (
        "{up} von {affected} Anschlüssen sind wieder da.",
        "{up} of {affected} lines are back.",
    ),
    # What is no outage.
    "maintenance": (
        "{down} Anschlüsse unter {scope} sind während angekündigter Arbeiten (bis {until_ns}) nicht erreichbar.",
        "{down} lines under {scope} are down during announced work (until {until_ns}).",
    ),
    "maintenance_open_end": (
        "{down} Anschlüsse unter {scope} sind während angekündigter Arbeiten nicht erreichbar.",
        "{down} lines under {scope} are down during announced work.",
    ),
    "maintenance_overrun": (
        "{down} Anschlüsse unter {scope} sind nach dem Ende der angekündigten Arbeiten noch immer nicht erreichbar.",
        "{down} lines under {scope} are still down after the announced work has ended.",
    ),
    "resolver_down": (
        "Der Resolver {resolver} antwortet seit {since_ns} nicht; die Leitungen selbst sind davon nicht betroffen.",
        "The resolver {resolver} has not answered since {since_ns}; the lines themselves are not affected.",
    ),
    "source_blind": (
        (
            "Der Prober {source} hat alle {references} Referenzziele und zugleich {lost} von {exchanges} Standorten "
            "verloren: er selbst ist blind. Aus seinen Messungen wird nichts geschlossen."
        ),
        (
            "Prober {source} has lost all {references} reference targets and {lost} of {exchanges} exchanges at once: it "
            "is blind itself. Nothing is concluded from what it measures."
        ),
    ),
    "source_down": (
        "Die Quelle {source} ist nach eigener Meldung ausgefallen. Aus ihren Messungen wird nichts geschlossen.",
        "The source {source} is reported to be down. Nothing is concluded from what it measures.",
    ),
    "broker_silent": (
        (
            "{wills} von {online} Geräten haben binnen {spread_s} die Verbindung zum Broker verloren, ihre Leitungen aber "
            "nicht: der Broker {source} ist gestört."
        ),
        (
            "{wills} of {online} devices lost the broker within {spread_s}, but not their lines: the broker {source} is "
            "in trouble."
        ),
    ),
    # Slow, lossy, unstable.
    "segment_slow": (
        "{slow} von {observable} Anschlüssen an {scope} sind langsamer als sonst (im Mittel +{extra} ms).",
        "{slow} of {observable} lines on {scope} are slower than usual (+{extra} ms on average).",
    ),
    "segment_lossy": (
        "{slow} von {observable} Anschlüssen an {scope} verlieren Pakete (im Mittel {loss_ratio}).",
        "{slow} of {observable} lines on {scope} lose packets ({loss_ratio} on average).",
    ),
    "rtt_above_baseline": (
        "Die Laufzeit liegt um {value} ms über dem, was für diesen Anschluss üblich ist.",
        "The round-trip time is {value} ms above what is usual for this line.",
    ),
    "loss": (
        "{loss_ratio} der Pings gehen verloren.",
        "{loss_ratio} of the pings are lost.",
    ),
    "flaps": (
        "Der Anschluss fiel in den letzten 24 Stunden {flaps}-mal aus.",
        "The line dropped {flaps} times in the last 24 hours.",
    ),
}
