"""Words for the helpdesk: what to say, to do, and not to do. code -> (German, English).

`say.` is spoken to the customer, `step.` and `dont.` are read by the agent, `verdict.`, `confidence.` and
`disposition.` are titles.
"""

DESK: dict[str, tuple[str, str]] = {
    # -- titles ----------------------------------------------------------------------------------------------------
    "verdict.IDENTITY_UNCLEAR": ("Anschluss nicht eindeutig", "Which line is it?"),
    "verdict.DATA_STALE": ("Keine Aussage möglich", "No statement possible"),
    "verdict.ACCOUNT_SUSPENDED": ("Anschluss gesperrt", "Account suspended"),
    "verdict.NOT_YET_ACTIVATED": ("Noch nicht freigeschaltet", "Not yet activated"),
    "verdict.PLANNED_WORK": ("Geplante Wartung", "Planned maintenance"),
    "verdict.KNOWN_OUTAGE": ("Bekannte Störung", "Known outage"),
    "verdict.AREA_POWER_CUT": ("Stromausfall im Gebiet", "Power cut in the area"),
    "verdict.OUTAGE_FORMING": ("Mögliche Störung, in Prüfung", "Possible outage, being checked"),
    "verdict.NESTED_FAULT": ("Nach der Störung weiter offline", "Still down after an outage"),
    "verdict.POWER_AT_HOME": ("Kein Strom beim Kunden", "No power at the customer’s"),
    "verdict.NOT_OBSERVABLE": ("Von hier nicht messbar", "Cannot be measured from here"),
    "verdict.LINE_DOWN_ONLY_HERE": ("Nur dieser Anschluss ist offline", "Only this line is down"),
    "verdict.LOGIN_FAILED": ("Anmeldung abgelehnt", "Login refused"),
    "verdict.DNS_FAULT": ("Namensauflösung gestört", "Name resolution fails"),
    "verdict.UNSTABLE": ("Anschluss instabil", "Line unstable"),
    "verdict.SLOW_VS_BASELINE": ("Langsamer als üblich", "Slower than usual"),
    "verdict.CPE_FAULT": ("Problem mit dem Router", "Router trouble"),
    "verdict.WIFI_ONLY": ("Nur das WLAN", "Wi-Fi only"),
    "verdict.NO_FAULT_FOUND": ("Keine Störung zu sehen", "No fault to be seen"),
    "confidence.sure": ("sicher", "sure"),
    "confidence.likely": ("wahrscheinlich", "likely"),
    "confidence.unclear": ("unklar", "unclear"),
    "disposition.resolved_info_outage": ("Über Störung informiert", "Informed about the outage"),
    "disposition.resolved_info_planned": ("Über Wartung informiert", "Informed about planned work"),
    "disposition.resolved_reboot": ("Durch Neustart behoben", "Fixed by a restart"),
    "disposition.resolved_config": ("Durch Einstellung behoben", "Fixed by configuration"),
    "disposition.resolved_credentials": ("Zugangsdaten geklärt", "Access data sorted out"),
    "disposition.resolved_wifi": ("WLAN verbessert", "Wi-Fi improved"),
    "disposition.resolved_firmware": ("Firmware aktualisiert", "Firmware updated"),
    "disposition.selfhealed": ("Von selbst behoben", "Healed by itself"),
    "disposition.escalated_l2": ("An die zweite Ebene übergeben", "Escalated to level 2"),
    "disposition.dispatch": ("Technikertermin", "Technician dispatched"),
    "disposition.billing": ("An die Kundenbetreuung verbunden", "Transferred to customer care"),
    "disposition.callback_pending": ("Rückruf offen", "Callback pending"),
    "disposition.wrong_customer": ("Falscher Kunde", "Wrong customer"),
    "disposition.duplicate_report": ("Bereits gemeldet", "Already reported"),
    "disposition.no_fault": ("Keine Störung", "No fault"),
    # -- to the customer -------------------------------------------------------------------------------------------
    "say.no_match": (
        "Ich finde Ihren Anschluss so noch nicht. Nennen Sie mir bitte Ihre Kundennummer.",
        "I cannot find your line that way yet. Could you give me your customer number, please?",
    ),
    "say.several_matches": (
        "Damit ich den richtigen Anschluss öffne: Wie lautet bitte Ihre Kundennummer?",
        "So that I open the right line: what is your customer number, please?",
    ),
    "say.data_stale": (
        "Im Moment kann ich nichts Verlässliches sagen. Ich nehme Ihre Meldung auf, und wir gehen es zusammen durch.",
        "I cannot say anything reliable at the moment. I will log your report, and we go through it together.",
    ),
    "say.account_suspended": (
        "Ihr Anschluss ist zurzeit nicht freigeschaltet. Ich verbinde Sie mit der Kundenbetreuung.",
        "Your line is not enabled at the moment. I will connect you with customer care.",
    ),
    "say.not_yet_activated": (
        "Ihr Anschluss ist noch nicht in Betrieb genommen. Ich sehe nach dem Termin der Freischaltung.",
        "Your line has not been put into service yet. Let me look up the date of its activation.",
    ),
    "say.planned_work": (
        "In Ihrem Gebiet finden gerade geplante Wartungsarbeiten statt, bis {end_ns}.",
        "There is planned maintenance in your area at the moment, until {end_ns}.",
    ),
    "say.planned_work_open": (
        "In Ihrem Gebiet finden gerade geplante Wartungsarbeiten statt.",
        "There is planned maintenance in your area at the moment.",
    ),
    "say.known_outage": (
        "In Ihrem Bereich gibt es seit {since_ns} eine bestätigte Störung. Unsere Technik arbeitet daran.",
        "There has been a confirmed outage in your area since {since_ns}. Our engineers are working on it.",
    ),
    "say.area_power_cut": (
        "In Ihrer Gegend ist seit {since_ns} offenbar der Strom ausgefallen; davon ist auch Ihr Anschluss betroffen.",
        "There appears to be a power cut in your neighbourhood since {since_ns}, and it affects your line too.",
    ),
    "say.area_power_likely": (
        "Mehrere Geräte in Ihrer Nachbarschaft haben einen Stromausfall gemeldet. Haben Sie gerade Strom?",
        "Several devices in your neighbourhood have reported a loss of power. Do you have power right now?",
    ),
    "say.etr_promised": ("Die Störung ist behoben bis {until_ns}.", "It will be fixed by {until_ns}."),
    "say.etr_usual": (
        "Solche Störungen sind meist innerhalb von {within_s} behoben.",
        "Such outages are usually fixed within {within_s}.",
    ),
    "say.no_etr": (
        "Eine Uhrzeit für die Behebung habe ich noch nicht.",
        "I do not have a time for the fix yet.",
    ),
    "say.next_update": ("Nächster Stand: {update_ns}.", "Next update: {update_ns}."),
    "say.nothing_to_do": (
        "Ich nehme Ihre Meldung auf. Sie brauchen nichts weiter zu tun.",
        "I am logging your report. There is nothing you need to do.",
    ),
    "say.report_logged": (
        "Ihre Meldung ist unter der Nummer {case} aufgenommen.",
        "Your report is logged under number {case}.",
    ),
    "say.emergency_call": (
        "Im Notfall erreichen Sie die 112 über das Mobiltelefon.",
        "In an emergency, call 112 from a mobile phone.",
    ),
    "say.outage_forming": (
        "Wir sehen in Ihrem Bereich gerade Auffälligkeiten und prüfen sie.",
        "We are seeing irregularities in your area right now and are checking them.",
    ),
    "say.nested_fault": (
        "Die Störung in Ihrem Bereich ist vorbei, nur Ihr Anschluss antwortet noch nicht. Wir sehen ihn uns genau an.",
        "The outage in your area is over, but your line does not answer yet. We will look at it in particular.",
    ),
    "say.power_at_home": (
        "Ihr Gerät hat gemeldet, dass ihm der Strom fehlt. Haben Sie gerade Strom in der Wohnung?",
        "Your device reported that it lost power. Do you have power at home right now?",
    ),
    "say.not_observable": (
        "Von hier aus kann ich Ihren Anschluss nicht messen. Lassen Sie uns gemeinsam nachsehen.",
        "I cannot measure your line from here. Let us look at it together.",
    ),
    "say.line_down_only_here": (
        "Betroffen ist nur Ihr Anschluss. Bitte sehen wir zusammen nach dem Kabel zwischen Dose und Gerät.",
        "Only your line is affected. Let us check the cable between the socket and the device together.",
    ),
    "say.login_failed": (
        "Ihre Leitung steht, aber die Anmeldung wird abgelehnt. Wir gehen die Zugangsdaten durch.",
        "Your line is up, but the login is refused. Let us go through the access data.",
    ),
    "say.login_double": (
        "Ihre Leitung steht, aber eine ältere Anmeldung ist noch offen. Ich lasse sie beenden.",
        "Your line is up, but an earlier session is still open. I will have it ended.",
    ),
    "say.login_blocked": (
        "Ihre Leitung steht, aber die Anmeldung ist gesperrt. Ich verbinde Sie mit der Stelle, die das klärt.",
        "Your line is up, but the login is blocked. I will connect you with those who can sort it out.",
    ),
    "say.login_timeout": (
        "Ihre Leitung steht, aber unser Anmeldesystem antwortet nicht. Das liegt an uns; ich melde es weiter.",
        "Your line is up, but our login system does not answer. The cause is on our side; I am reporting it.",
    ),
    "say.dns_fault": (
        "Ihre Verbindung steht, nur die Auflösung von Internetnamen ist gestört. Wir kümmern uns darum.",
        "Your connection is up; only the look-up of internet names is failing. We are taking care of it.",
    ),
    "say.unstable": (
        "Ihre Verbindung ist in den letzten 24 Stunden {flaps}-mal abgebrochen. Wir suchen die Ursache.",
        "Your connection has dropped {flaps} times in the last 24 hours. Let us find the cause.",
    ),
    "say.unstable_loss": (
        "Auf Ihrer Leitung gehen gerade Daten verloren. Wir suchen die Ursache.",
        "Your line is losing data at the moment. Let us find the cause.",
    ),
    "say.unstable_signal": (
        "Das Signal auf Ihrer Leitung wird schwächer. Wir lassen es prüfen, bevor sie ausfällt.",
        "The signal on your line is getting weaker. We will have it checked before the line fails.",
    ),
    "say.slow": ("Ihre Leitung reagiert langsamer als sonst.", "Your line responds more slowly than it usually does."),
    "say.slow_area": (
        "In Ihrem Bereich ist das Netz gerade langsamer als sonst. Wir sehen es und arbeiten daran.",
        "The network in your area is slower than usual at the moment. We can see it and are working on it.",
    ),
    "say.cpe_restarts": (
        "Ihr Router startet immer wieder neu. Dem gehen wir nach.",
        "Your router keeps restarting. Let us look into that.",
    ),
    "say.cpe_unmanaged": (
        "Ihre Leitung steht, aber Ihr Router meldet sich bei unserer Verwaltung nicht.",
        "Your line is up, but your router does not report to our management.",
    ),
    "say.wifi_only": ("Die Leitung ist in Ordnung; das WLAN bremst.", "The line is fine; the Wi-Fi slows it down."),
    "say.wifi_weak": (
        "Ihre Leitung ist in Ordnung, aber das WLAN kommt bei Ihren Geräten nur schwach an. Probieren wir es mit Kabel?",
        "Your line is fine, but the Wi-Fi reaches your devices only weakly. Shall we try it by cable?",
    ),
    "say.no_fault_found": (
        "Ich sehe im Moment keine Störung. Lassen Sie uns zusammen eingrenzen, woran es liegt.",
        "I see no fault at the moment. Let us narrow it down together.",
    ),
    # -- next steps ------------------------------------------------------------------------------------------------
    "step.ask_customer_number": ("Nach der Kundennummer fragen.", "Ask for the customer number."),
    "step.ask_address": ("Straße, Hausnummer und Ort erfragen.", "Ask for street, house number and town."),
    "step.ask_and_pick": (
        "Kundennummer erfragen und den passenden Anschluss wählen.",
        "Ask for the customer number and pick the matching line.",
    ),
    "step.ask_manually": (
        "Lampen am Gerät, Strom und Kabel erfragen.",
        "Ask about the device’s lights, power and cables.",
    ),
    "step.check_again": ("In 5 Minuten erneut prüfen.", "Check again in 5 minutes."),
    "step.log_report": (
        "Meldung aufnehmen (damit beginnt die Frist nach § 58 TKG).",
        "Log the report (it starts the clock of section 58 TKG).",
    ),
    "step.offer_callback": ("Rückruf oder SMS anbieten.", "Offer a callback or a text message."),
    "step.end_call": ("Gespräch freundlich beenden.", "End the call kindly."),
    "step.transfer_billing": ("An die Kundenbetreuung verbinden.", "Transfer to customer care."),
    "step.transfer_care": ("An die zuständige Stelle verbinden.", "Transfer to the department in charge."),
    "step.check_order": ("Auftrag und Schalttermin nachsehen.", "Look up the order and the activation date."),
    "step.tell_window": ("Ende der Wartung nennen.", "Tell when the work ends."),
    "step.ask_street_power": (
        "Fragen, ob in der Straße der Strom ausgefallen ist.",
        "Ask whether the street has lost power.",
    ),
    "step.ask_power": ("Fragen: Gibt es Strom in der Wohnung?", "Ask: is there power at home?"),
    "step.check_plug": ("Netzteil und Steckdose prüfen lassen.", "Have the power supply and the plug checked."),
    "step.hold_dispatch": ("Noch keinen Techniker beauftragen.", "Do not send a technician yet."),
    "step.test_line": ("Leitungsmessung starten.", "Start a line test."),
    "step.escalate_linked": (
        "An die zweite Ebene geben, verknüpft mit der Störung.",
        "Escalate to level 2, linked to the outage.",
    ),
    "step.ask_lights": ("Nach den Lampen am Gerät fragen.", "Ask which lights on the device are on."),
    "step.ask_wired": ("Mit Kabel statt WLAN testen lassen.", "Have it tested by cable instead of Wi-Fi."),
    "step.move_router": (
        "Router frei und erhöht aufstellen, näher an die Geräte.",
        "Place the router in the open, higher and closer to the devices.",
    ),
    "step.change_channel": (
        "Auf 5 GHz oder einen anderen Kanal wechseln lassen.",
        "Have it switched to 5 GHz or another channel.",
    ),
    "step.check_cable": ("Kabel zwischen Dose und Gerät prüfen.", "Check the cable between socket and device."),
    "step.power_cycle": (
        "Gerät einmal für 30 Sekunden stromlos machen.",
        "Unplug the device once for 30 seconds.",
    ),
    "step.dispatch": ("Bleibt es dabei: Techniker beauftragen.", "If it stays so: send a technician."),
    "step.compare_login": ("Benutzernamen vergleichen.", "Compare the user name."),
    "step.resend_access": ("Zugangsdaten neu senden oder zurücksetzen.", "Resend or reset the access data."),
    "step.end_old_session": ("Alte Sitzung beenden lassen.", "Have the old session ended."),
    "step.report_noc": ("An das NOC melden: Anmeldesystem.", "Report to the NOC: login system."),
    "step.check_cpe_dns": (
        "Prüfen, ob im Router ein fremder DNS-Server eingetragen ist.",
        "Check whether the router is set to a foreign DNS server.",
    ),
    "step.watch_24h": ("24 Stunden beobachten, dann übergeben.", "Watch it for 24 hours, then escalate."),
    "step.ask_devices": (
        "Fragen, ob ein Gerät gerade große Datenmengen lädt.",
        "Ask whether some device is moving a lot of data right now.",
    ),
    "step.update_firmware": ("Firmware aktualisieren.", "Update the firmware."),
    "step.swap_cpe": ("Bleibt es dabei: Gerät tauschen.", "If it stays so: swap the device."),
    "step.ask_what_fails": (
        "Fragen: alle Geräte und Seiten, oder nur manche?",
        "Ask: all devices and sites, or only some?",
    ),
    "step.restart_devices": ("Router und Endgerät einmal neu starten.", "Restart router and device once."),
    # -- what not to do --------------------------------------------------------------------------------------------
    "dont.say_no_fault": ("Nicht sagen, es liege keine Störung vor.", "Do not say that there is no fault."),
    "dont.discuss_amounts": ("Keine Beträge nennen.", "Do not discuss amounts."),
    "dont.troubleshoot": ("Keine Fehlersuche am Gerät.", "Do not troubleshoot the device."),
    "dont.reset_router": ("Router nicht zurücksetzen lassen.", "Do not have the router reset."),
    "dont.factory_reset": ("Nicht auf Werkseinstellungen zurücksetzen.", "No factory reset."),
    "dont.dispatch": ("Keinen Techniker beauftragen.", "Do not send a technician."),
    "dont.promise_time": ("Keine Uhrzeit versprechen.", "Do not promise a time."),
    "dont.say_area_fixed": (
        "Nicht sagen, es sei alles behoben.",
        "Do not say that everything is fixed.",
    ),
    "dont.say_network_fine": (
        "Nicht sagen, unser Netz sei in Ordnung.",
        "Do not say that our network is fine.",
    ),
    "dont.ask_password": ("Nie nach dem Kennwort fragen.", "Never ask for the password."),
    "dont.state_speed": (
        "Keine Geschwindigkeit nennen, ohne Messung am Kabel.",
        "Do not state a speed without a wired measurement.",
    ),
    "dont.read_out_candidates": (
        "Keine Namen oder Adressen aus der Liste vorlesen.",
        "Do not read out names or addresses from the list.",
    ),
}
