"""wavekit data list"""

from __future__ import annotations

from rich.table import Table

from wavekit_cli.commands.run import DataRoot, use_data_root
from wavekit_cli.console import out
from wavekit_core.data.download import SETS
from wavekit_core.data.files import NotHere
from wavekit_core.errors import DataError, WavekitError
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.registry import installed


def command(data_root: DataRoot = None) -> None:
    """The data sets that recipes can name, and which are here."""
    use_data_root(data_root)
    table = Table("name", "plugin", "state", box=None, pad_edge=False)
    for name in installed().names("dataset"):
        owners = installed().entries[("dataset", name)]
        table.add_row(name, ", ".join(entry.distribution for entry in owners), _state(name))
    out().print(table)


def _state(name: str) -> str:
    """What building it with its defaults says, in one clause."""
    from wavekit_core.component import signature_of
    from wavekit_core.recipe.nodes import build_named

    try:
        owner = installed().load(installed().find("dataset", name))
        signature = signature_of(owner)
        missing = [key for key, value in signature.values.model_fields.items() if value.is_required()]
        missing += [key for key, child in signature.children.items() if child.required]
        if missing:
            return f"needs parameters: {', '.join(missing)}; `wavekit plugins info {name}`"
        dataset = build_named("dataset", {"use": name})
    except NotHere as error:
        return f"not here: `wavekit data download {name}`" if name in SETS else _clause(error)
    except DataError as error:
        return f"cannot be used: {_clause(error)}; `wavekit data check {name}`"
    except (RecipeFaults, WavekitError) as error:
        return _clause(error)
    return f"{dataset.space}, {len(dataset.train):,} + {len(dataset.held_out):,} held out"


def _clause(error: Exception) -> str:
    return str(error).splitlines()[0].split(";")[0]
