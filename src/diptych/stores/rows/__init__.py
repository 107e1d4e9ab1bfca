"""What the SQL stores share: how rows of views are encoded and selected, and SQL with names in it. No I/O."""

from diptych.stores.rows.select import Select
from diptych.stores.rows.statement import Named, read_names
from diptych.stores.rows.table import Encode, Rows, quoted

__all__ = ["Encode", "Named", "Rows", "Select", "quoted", "read_names"]
