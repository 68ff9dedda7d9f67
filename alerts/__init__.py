"""Floor 3: from the outbox to people. One message per incident, kept up to date."""
