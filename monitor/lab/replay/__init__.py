"""Floor 4: recorded observations and events, run through the engine of the daemon."""

from monitor.lab.replay.run import Replayed, replay

__all__ = ["Replayed", "replay"]
