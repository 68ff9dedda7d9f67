"""What can go wrong with a store, as errors whose text is for people: what happened, where, what to do."""


class StoreProblem(RuntimeError):
    """The store cannot be opened or written."""


class StoreLocked(StoreProblem):
    """Another daemon has the store."""


class DiskFull(StoreProblem):
    """No room (or no quota) left where the store must write."""
