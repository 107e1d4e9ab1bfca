"""What is no command and no query: the description, the page to try it with, health, metrics, what problems mean."""

from diptych.http.pages.site import pages_of

__all__ = ["pages_of"]
