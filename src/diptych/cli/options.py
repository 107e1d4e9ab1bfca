"""Options that several commands take, each with the words of its help: they are the same wherever they stand."""

from typing import Annotated

from cyclopts import Parameter

Switch = Parameter(negative=(), show_default=False)

Target = Annotated[
    str | None,
    Parameter(
        env_var="DIPTYCH_TARGET",
        metavar="MODULE:NAME",
        help="The bounded context. Modules in the working folder are found.",
    ),
]
StoreUrl = Annotated[
    str | None, Parameter(env_var="DIPTYCH_STORE", metavar="URL", help="The store, such as sqlite:///shop.db.")
]
Json = Annotated[bool, Parameter(negative=(), show_default=False, help="Print JSON, and nothing else, on stdout.")]
