"""What the SQL stores share about the rows of views: how they are encoded, and how they are selected. No I/O."""

from diptych.stores.rows.select import Select
from diptych.stores.rows.table import Encode, Rows, quoted

__all__ = ["Encode", "Rows", "Select", "quoted"]
