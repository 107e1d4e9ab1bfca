"""Options that several commands take, each with the words of its help: they are the same wherever they stand.

What the environment and `diptych.yaml` say in their place is found by `diptych.cli.target` and `diptych.cli.places`.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Switch = Parameter(negative=(), show_default=False)

Target = Annotated[
    str | None,
    Parameter(
        metavar="MODULE:NAME",
        help="The bounded context. Modules in the working folder are found. [DIPTYCH_TARGET, diptych.yaml]",
    ),
]
StoreUrl = Annotated[
    str | None,
    Parameter(metavar="URL", help="The store, such as sqlite:///shop.db. [DIPTYCH_STORE, diptych.yaml]"),
]
SnapshotsUrl = Annotated[
    str | None,
    Parameter(
        metavar="URL",
        help="Where snapshots are, if not in the store, such as s3://bucket/shop. "
        "[DIPTYCH_CQRS_COMMAND_SIDE_SNAPSHOT_STORAGE, diptych.yaml]",
    ),
]
ConfigFile = Annotated[
    Path | None,
    Parameter(name="--config", metavar="FILE", help="The configuration file; by default diptych.yaml, if it is there."),
]
Json = Annotated[bool, Parameter(negative=(), show_default=False, help="Print JSON, and nothing else, on stdout.")]
