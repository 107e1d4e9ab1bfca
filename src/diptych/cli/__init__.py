"""The command line: what was typed becomes calls, and what comes back becomes words and exit codes.

Every command starts in a file of its own name. The engine below knows nothing of this room, and this room nothing of
how the engine works. What is slow to import is imported by the command that needs it.
"""

from diptych.cli.main import main

__all__ = ["main"]
