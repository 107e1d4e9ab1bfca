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
        help="The bounded context, as module:name. The working folder is importable. [DIPTYCH_TARGET, diptych.yaml]"
    ),
]
StoreUrl = Annotated[
    str | None, Parameter(help="The store's URL, such as sqlite:///shop.db. [DIPTYCH_STORE, diptych.yaml]")
]
ConfigFile = Annotated[
    Path | None, Parameter(name="--config", help="The configuration file; by default diptych.yaml, if it is there.")
]
Json = Annotated[bool, Parameter(negative=(), show_default=False, help="Print JSON, and nothing else, on stdout.")]
