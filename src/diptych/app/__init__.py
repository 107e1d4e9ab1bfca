"""The composition: a bounded context, and the app that it is when it is open on a store."""

from diptych.app.app import App
from diptych.app.context import BoundedContext

__all__ = ["App", "BoundedContext"]
