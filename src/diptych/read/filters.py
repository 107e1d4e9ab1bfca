"""What `where` may ask of a field, as plain values that every read store understands."""

from typing import Any, NamedTuple


class Compared(NamedTuple):
    """Holds where the field compares so with the value: one of `=`, `<`, `<=`, `>`, `>=`."""

    operator: str
    value: Any


class Between(NamedTuple):
    """Holds where `low <= field <= high`."""

    low: Any
    high: Any


class OneOf(NamedTuple):
    """Holds where the field is one of the values."""

    values: tuple[Any, ...]


class Prefix(NamedTuple):
    """Holds where the field's text begins so, to the letter."""

    text: str


Filter = Compared | Between | OneOf | Prefix


def gt(value: object) -> Filter:
    """Greater than the value."""
    return Compared(">", value)


def ge(value: object) -> Filter:
    """Greater than the value, or equal."""
    return Compared(">=", value)


def lt(value: object) -> Filter:
    """Less than the value."""
    return Compared("<", value)


def le(value: object) -> Filter:
    """Less than the value, or equal."""
    return Compared("<=", value)


def between(low: object, high: object) -> Filter:
    """From low to high, both included."""
    return Between(low, high)


def one_of(*values: object) -> Filter:
    """One of the values; of none, nothing fits."""
    return OneOf(values)


def prefix(text: str) -> Filter:
    """Text that begins so; upper and lower case differ."""
    return Prefix(text)


def as_filter(value: object) -> Filter:
    """A plain value stands for equality with it."""
    return value if isinstance(value, (Compared, Between, OneOf, Prefix)) else Compared("=", value)
