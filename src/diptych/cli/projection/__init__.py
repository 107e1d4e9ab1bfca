"""`diptych projection`: how the views stand, and what can be done about it."""

from diptych.cli.projection.audit import audit
from diptych.cli.projection.divide import divide
from diptych.cli.projection.generations import cancel, drop
from diptych.cli.projection.letters import letters
from diptych.cli.projection.part import part
from diptych.cli.projection.pause import pause
from diptych.cli.projection.rebuild import rebuild
from diptych.cli.projection.resume import resume
from diptych.cli.projection.retry import retry
from diptych.cli.projection.skip import skip
from diptych.cli.projection.status import status

__all__ = [
    "audit",
    "cancel",
    "divide",
    "drop",
    "letters",
    "part",
    "pause",
    "rebuild",
    "resume",
    "retry",
    "skip",
    "status",
]
