"""`diptych --install-completion`: a shell learns to complete commands and options, from a script made of the app."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from diptych.cli.options import Json
from diptych.cli.words import DONE, NO, WRONG_USE, Stop

Shell = Literal["bash", "fish", "zsh"]

START = {"bash": "source ~/.bashrc", "fish": "exec fish", "zsh": "exec zsh"}
"""What a shell that runs already has to be told."""


def installer(app: App) -> Callable[..., int]:
    """The command, for this app."""

    def install_completion(
        *,
        shell: Shell | None = None,
        output: Annotated[Path | None, Parameter(metavar="FILE")] = None,
        json: Json = False,
    ) -> int:
        """Teach your shell to complete commands and options.

        The shell that you are in; and a script for one, to be put where you like:

            diptych --install-completion
            diptych --install-completion --shell zsh --output _diptych

        Parameters
        ----------
        shell:
            By default the one that this is called from.
        output:
            Write the script there and touch nothing else. By default it goes to the shell's own place, and bash and
            zsh get a line in ~/.bashrc or ~/.zshrc that finds it.
        """
        chosen = shell or calling_shell()
        try:
            script = app.install_completion(shell=chosen, output=output, add_to_startup=output is None)
        except OSError as error:
            raise Stop(f"the script cannot be written: {error}. Name another place with --output", NO) from None
        sys.stdout.write(as_json(chosen, script) if json else told(chosen, script, placed=output is not None))
        return DONE

    return install_completion


def calling_shell() -> Shell:
    """Raises Stop where it cannot be told, or is none for which a script is made."""
    from cyclopts.completion import ShellDetectionError, detect_shell  # noqa: PLC0415 - only here

    try:
        shell = detect_shell()
    except ShellDetectionError:
        shell = None
    if shell is None or shell == "powershell":
        raise Stop("which shell? Say --shell bash, --shell fish or --shell zsh", WRONG_USE)
    return shell


def as_json(shell: Shell, script: Path) -> str:
    return msgspec.json.encode({"shell": shell, "script": str(script)}).decode() + "\n"


def told(shell: Shell, script: Path, *, placed: bool) -> str:
    """Where the script is, and how it begins to work."""
    now = "" if placed else f"New shells complete diptych; this one does after: {START[shell]}\n"
    return f"Completion for {shell} is in {script}\n{now}"
