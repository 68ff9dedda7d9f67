"""Which attribute values explain the failures of a table: any attributes, any domain."""

from correlation.attributes.cells import Column, Table
from correlation.attributes.search import Cause, explain_table

__all__ = ["Cause", "Column", "Table", "explain_table"]
