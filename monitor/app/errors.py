"""What ends a command with exit code 1."""


class RunFailed(RuntimeError):
    """Something went wrong at run time; the text says what, where, and what to do."""
