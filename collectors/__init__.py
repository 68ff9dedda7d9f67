"""Floor 3: the collectors. They turn ICMP, DNS and CPE telemetry into records."""
