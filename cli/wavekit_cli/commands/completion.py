"""wavekit completion"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from typer import Argument, echo
from typer.completion import completion_init, get_completion_script


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def command(shell: Annotated[Shell, Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script: `wavekit completion bash >> ~/.bashrc`."""
    completion_init()
    echo(get_completion_script(prog_name="wavekit", complete_var="_WAVEKIT_COMPLETE", shell=shell.value))
