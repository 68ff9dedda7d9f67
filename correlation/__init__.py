"""Floor 3: from evidence to incidents, flags and verdicts. Pure: arrays in, arrays out; time is an argument."""
