"""The one metaclass: it takes the class keywords of messages and keeps them as a `Declaration` on the class.

Nothing is judged here: a keyword that makes no sense is found, and named with everything else that is wrong, when the
bounded context is built.
"""

from typing import Any

import msgspec


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What the class keywords of a message said. `name` is the stored and published name and survives a rename."""

    name: str
    schema: int = 1
    tags: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    index: tuple[str, ...] = ()


def names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """A single field name stands for a tuple of one."""
    return (value,) if isinstance(value, str) else tuple(value)


class MessageMeta(msgspec.StructMeta):
    """Makes every message frozen, keyword-only, and no work for the garbage collector: values form no cycles."""

    def __new__(  # noqa: PLR0913, PYI034 - users write these keywords; a metaclass has no Self
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        name: str | None = None,
        schema: int = 1,
        tags: str | tuple[str, ...] = (),
        key: str | tuple[str, ...] = (),
        index: str | tuple[str, ...] = (),
        frozen: bool = True,
        kw_only: bool = True,
        forbid_unknown_fields: bool | None = None,
    ) -> "MessageMeta":
        if not frozen or not kw_only:
            raise TypeError(f"{class_name}: a message is frozen and keyword-only")
        options: dict[str, Any] = (
            {} if forbid_unknown_fields is None else {"forbid_unknown_fields": forbid_unknown_fields}
        )
        cls = super().__new__(mcls, class_name, bases, namespace, frozen=True, kw_only=True, gc=False, **options)
        declared = Declaration(
            name=name or class_name, schema=schema, tags=names(tags), key=names(key), index=names(index)
        )
        type.__setattr__(cls, "__declared__", declared)
        return cls
