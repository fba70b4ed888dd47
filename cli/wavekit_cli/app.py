"""The table of commands, and the group that imports a command when it is called."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

from typer import Exit, Option, Typer, echo
from typer.core import TyperGroup
from typer.main import get_command as command_of

from wavekit_cli.streams import open_streams, settle_output

# name → (module below wavekit_cli.commands, one line); a name with a space belongs to a group
COMMANDS = {
    "run": ("run", "Train, sample, measure and report; on an interrupted run, go on."),
    "check": ("check", "Walk a recipe's pipeline without computing anything."),
    "show": ("show", "A recipe with every default and its origin, or the state of a run."),
    "sample": ("sample", "Draw new images from a run."),
    "evaluate": ("evaluate", "Measure a run's checkpoints again."),
    "compare": ("compare", "Runs beside each other: figures, curves, pictures, means over seeds."),
    "report": ("report", "Write a run's report again."),
    "export": ("export", "Write a run's trained network in the form of another library."),
    "verify": ("verify", "Check every digest of a run."),
    "encode": ("encode", "Write images as a stream that can be cut anywhere."),
    "decode": ("decode", "Write an image of a stream as a file."),
    "info": ("info", "What a stream holds, and where its bytes go."),
    "recipes list": ("recipes_list", "The recipes that plugins ship."),
    "recipes copy": ("recipes_copy", "Copy a shipped recipe to a file of your own."),
    "plugins list": ("plugins_list", "Installed plugins, what they offer, and what is broken."),
    "plugins info": ("plugins_info", "A component: where it comes from and what it takes."),
    "plugins search": ("plugins_search", "Search the catalogue of known plugins."),
    "plugins new": ("plugins_new", "Write a small complete plugin package to start from."),
    "plugins test": ("plugins_test", "Hold an installed plugin to the laws of its kind."),
    "plugins install": ("plugins_install", "Install plugins with pip, after showing what would change."),
    "plugins uninstall": ("plugins_uninstall", "Remove plugins with pip."),
    "data list": ("data_list", "The data sets, and which are here."),
    "data info": ("data_info", "A data set: sizes, classes, range, digest."),
    "data check": ("data_check", "Decode every image of a data set, and say what is wrong with it."),
    "data stats": ("data_stats", "A data set in the bands of a wavelet transform, and what samplers make of it."),
    "data pack": ("data_pack", "Write a data set as shards, for sets larger than memory."),
    "data download": ("data_download", "Fetch a named data set: mnist, fashion-mnist, cifar10."),
    "bench transforms": ("bench_transforms", "Time the wavelet transforms here, beside copying and other libraries."),
    "doctor": ("doctor", "What this machine and environment offer."),
    "completion": ("completion", "Print the completion script for bash, zsh or fish."),
}
GROUPS = {
    "recipes": "Shipped recipes.",
    "plugins": "Plugins and the catalogue.",
    "data": "Data sets.",
    "bench": "Speed on this machine.",
}

EPILOG = (
    "Exit codes: 0 done, 1 a fault of wavekit, 2 recipe or usage, 3 plugin, 4 data, 5 damaged file, 6 resources, "
    "7 diverged, 8 folder busy, 130 and 143 interrupted with the state saved."
)


class LazyGroup(TyperGroup):
    """A group whose commands stand in a table and are imported when called."""

    prefix = ""

    def list_commands(self, ctx: Any) -> list[str]:
        below = [name.removeprefix(self.prefix).split()[0] for name in COMMANDS if name.startswith(self.prefix)]
        return list(dict.fromkeys(below))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = self.prefix + cmd_name
        if name in GROUPS:
            return _group(name, f"{name} ", GROUPS[name])
        if name not in COMMANDS:
            return None
        module, line = COMMANDS[name]
        from wavekit_cli.guard import guarded, report

        try:
            function = guarded(importlib.import_module(f"wavekit_cli.commands.{module}").command)
        except BaseException as error:
            raise Exit(report(error)) from None
        single = Typer(add_completion=False, rich_markup_mode=None)
        single.command(help=function.__doc__ or line)(function)
        return command_of(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            ctx.fail(f"There is no command {args[0]!r:.60}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [
            (name, GROUPS.get(self.prefix + name) or COMMANDS[self.prefix + name][1])
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _group(name: str, prefix: str, text: str) -> LazyGroup:
    group = LazyGroup(name=name, help=text, no_args_is_help=True, rich_markup_mode=None)
    group.prefix = prefix
    return group


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        echo(f"wavekit-cli {version('wavekit-cli')}, wavekit-core {version('wavekit-core')}")
        raise Exit


def _debug(wanted: bool) -> None:
    if wanted:
        os.environ["WAVEKIT_DEBUG"] = "1"


def _root() -> LazyGroup:
    app = Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True, epilog=EPILOG)

    @app.callback()
    def wavekit(
        version: bool = Option(False, "--version", callback=_version, is_eager=True, help="Versions, and end."),
        debug: bool = Option(False, "--debug", callback=_debug, is_eager=True, help="Show tracebacks."),
    ) -> None:
        """Compose wavelet-based image generators: `wavekit run recipe.yaml`."""

    group = command_of(app)
    assert isinstance(group, LazyGroup)
    return group


def run(argv: list[str]) -> int:
    """Parse and run; the exit code."""
    # idle OpenMP threads that spin cost small networks several times their own work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code = 0
    open_streams()
    if "_WAVEKIT_COMPLETE" in os.environ:
        from typer.completion import completion_init

        completion_init()
    try:
        _root().main(args=argv, prog_name="wavekit", standalone_mode=True, obj=argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 2
    except OSError as error:  # of the standard output
        from wavekit_cli.guard import report

        code = report(error)
    interrupts = sys.modules.get("wavekit_core.engine.interrupts")
    received = interrupts.received() if interrupts else None
    if received is not None and code == 130:  # typer's code for whatever interrupted an import
        from wavekit_core.errors import Interrupted

        code = Interrupted(received).exit_code
    settle_output()
    return code
