"""One module per command (or family of commands) of the command line."""
