"""The OpenAPI 3.1 description of a context: made from its messages, their docstrings, types and constraints. No I/O."""

from diptych.http.openapi.document import describe

__all__ = ["describe"]
