"""Faultline's house: records and inventory at the bottom, stores above, API, desk and commands on top."""

__version__ = "0.1.0"
