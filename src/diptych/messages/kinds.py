"""The four kinds of message: a command may be rejected, an event happened, a query changes nothing, a view is a row.

A message is a frozen, keyword-only msgspec Struct. Its fields are typed values; class keywords say how it is stored.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, dataclass_transform

import msgspec

from diptych.messages.meta import Declaration, MessageMeta

R_co = TypeVar("R_co", covariant=True)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Command(msgspec.Struct, metaclass=MessageMeta, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An intent, which may be rejected. Its docstring is its public description.

    Class keywords: `name` is the published name, by default the class's.
    """

    __declared__: ClassVar[Declaration]

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, name: str | None = None) -> None: ...


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, metaclass=MessageMeta, frozen=True, kw_only=True):
    """A fact that happened, kept for ever. Unknown fields are passed over: a newer writer harms no older reader.

    Class keywords: `name` is the stored name, by default the class's; `schema` counts the versions of the shape,
    from 1; `tags` names the fields by which events of several streams are found together.
    """

    __declared__: ClassVar[Declaration]

    if TYPE_CHECKING:

        def __init_subclass__(
            cls, *, name: str | None = None, schema: int = 1, tags: str | tuple[str, ...] = ()
        ) -> None: ...


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Query(
    msgspec.Struct, Generic[R_co], metaclass=MessageMeta, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A question that changes nothing and is answered with an R.

    Class keywords: `name` is the published name, by default the class's.
    """

    __declared__: ClassVar[Declaration]

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, name: str | None = None) -> None: ...


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class View(msgspec.Struct, metaclass=MessageMeta, frozen=True, kw_only=True):
    """A row of a read model, found by key, derived from the log and disposable.

    Class keywords: `key` names the field or fields that identify a row; `index` names fields to be found by; `name` is
    the stored name, by default the class's.
    """

    __declared__: ClassVar[Declaration]

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            key: str | tuple[str, ...] = (),
            index: str | tuple[str, ...] = (),
            name: str | None = None,
        ) -> None: ...

    def replace(self, **changes: Any) -> Self:
        """This row with some fields changed. Raises TypeError for a field that the row does not have."""
        return msgspec.structs.replace(self, **changes)
