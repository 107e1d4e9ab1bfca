"""Options that several commands take, each with the words of its help: they are the same wherever they stand."""

from typing import Annotated

from cyclopts import Parameter

Switch = Parameter(negative=(), show_default=False)

Target = Annotated[
    str | None,
    Parameter(env_var="DIPTYCH_TARGET", help="The bounded context, as module:name. The working folder is importable."),
]
StoreUrl = Annotated[str | None, Parameter(env_var="DIPTYCH_STORE", help="The store's URL, such as sqlite:///shop.db.")]
Json = Annotated[bool, Parameter(negative=(), show_default=False, help="Print JSON, and nothing else, on stdout.")]
