"""Floor 1: which lines there are, on which elements and groups they hang, and which address each has now."""

from monitor.inventory.bindings import Bindings, Observability
from monitor.inventory.columns import CategoryColumn, KeyIndex, StringColumn
from monitor.inventory.groups import Groups
from monitor.inventory.inventory import Inventory, Line, Match, MatchedBy
from monitor.inventory.load import load_inventory
from monitor.inventory.problems import InputProblem, InputProblems
from monitor.inventory.settings import InventorySettings
from monitor.inventory.topology import Elements

__all__ = [
    "Bindings",
    "CategoryColumn",
    "Elements",
    "Groups",
    "InputProblem",
    "InputProblems",
    "Inventory",
    "InventorySettings",
    "KeyIndex",
    "Line",
    "Match",
    "MatchedBy",
    "Observability",
    "StringColumn",
    "load_inventory",
]
