"""The worker: runs projectors on an event loop of their own, or in a process of their own."""

from diptych.worker.child import stay, words_to_parent
from diptych.worker.identity import gone, new_identity
from diptych.worker.projectors import projectors_beside
from diptych.worker.supervisor import ChildFailed, Supervisor

__all__ = ["ChildFailed", "Supervisor", "gone", "new_identity", "projectors_beside", "stay", "words_to_parent"]
