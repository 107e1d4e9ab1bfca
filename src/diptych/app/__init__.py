"""The composition: a bounded context, and the app that it is when it is open on a store."""

from diptych.app.app import App
from diptych.app.context import BoundedContext
from diptych.app.imports import Import, Imported
from diptych.app.status import CommandStatus, Refusal

__all__ = ["App", "BoundedContext", "CommandStatus", "Import", "Imported", "Refusal"]
