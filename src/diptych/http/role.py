"""Which side of a context a server runs: a role alone lets each side scale by itself."""

from collections.abc import Sequence
from enum import StrEnum

from diptych.app import BoundedContext
from diptych.read import QueryHandler
from diptych.write import AggregateRules


class Role(StrEnum):
    """What a server does. Health and metrics it has in every role."""

    ALL = "all"
    COMMAND = "command"
    QUERY = "query"
    PROJECTOR = "projector"

    @property
    def commands(self) -> bool:
        """Whether commands are taken, and their status is told."""
        return self in (Role.ALL, Role.COMMAND)

    @property
    def queries(self) -> bool:
        """Whether queries are answered."""
        return self in (Role.ALL, Role.QUERY)

    @property
    def projects(self) -> bool:
        """Whether the views are kept up to date."""
        return self in (Role.ALL, Role.PROJECTOR)

    def aggregates_of(self, context: BoundedContext) -> Sequence[AggregateRules]:
        """The aggregates whose commands are taken."""
        return context.aggregates if self.commands else ()

    def queries_of(self, context: BoundedContext) -> Sequence[QueryHandler]:
        """The queries that are answered."""
        return context.queries if self.queries else ()
