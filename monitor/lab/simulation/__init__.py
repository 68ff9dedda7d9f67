"""Floor 4: a provider's network in virtual time, with everything that breaks in it, and the truth about it."""

from monitor.lab.simulation.run import Simulated, simulate
from monitor.lab.simulation.scenarios import NAMES

__all__ = ["NAMES", "Simulated", "simulate"]
