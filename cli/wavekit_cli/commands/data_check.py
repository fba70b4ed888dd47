"""wavekit data check"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, echo

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root

if TYPE_CHECKING:
    from wavekit_core.data.survey import Survey

LISTED = 10  # of what is worth a look; what cannot be decoded is always listed whole


def command(
    target: Annotated[str, Argument(help="A data set's name, or a recipe.")],
    settings: Settings = None,
    data_root: DataRoot = None,
) -> None:
    """Decode every image of a data set: what cannot be decoded, what is there twice, constant images, images of each class."""
    use_data_root(data_root)
    from wavekit_cli.commands.data_info import dataset_of
    from wavekit_cli.console import watcher
    from wavekit_core.data.image_folder import UnusableImages
    from wavekit_core.data.survey import survey, undecodable
    from wavekit_core.errors import DataError

    view = watcher()
    try:
        dataset = dataset_of(target, settings)
    except UnusableImages as error:
        unusable = undecodable(error, view)
        for fault in unusable:
            echo(fault)
        raise DataError(
            f"{target}: {_counted(len(unusable), 'image')} cannot be decoded; repair or remove them"
        ) from None
    found = survey(dataset, view)
    faults = list(dict.fromkeys([*found.damaged, *found.train.faults, *found.held_out.faults]))
    for fault in faults:
        echo(fault)
    _tell(dataset, found, view)
    for remark in dataset.remarks:
        echo(f"note: {remark}")
    if faults:
        missing = found.train.count + found.held_out.count - found.train.decoded - found.held_out.decoded
        lost = f", {_counted(missing, 'image')} cannot be decoded" if missing else ""
        raise DataError(f"{target}: {_counted(len(faults), 'fault')}{lost}; repair or remove the files")
    echo("every image can be decoded")


def _tell(dataset: Any, found: Survey, view: Any) -> None:
    from rich.table import Table

    from wavekit_cli.console import out
    from wavekit_core.data.survey import describe, pairs

    table = Table("", "training", "held out", box=None, pad_edge=False)
    train, held_out = found.train, found.held_out
    for label, one, other in (
        ("images", train.count, held_out.count),
        ("decoded", train.decoded, held_out.decoded),
        ("repeated", len(train.repeated), len(held_out.repeated)),
        ("constant", len(train.constant), len(held_out.constant)),
        *((name, train.classes[number], held_out.classes[number]) for number, name in enumerate(dataset.classes)),
    ):
        table.add_row(label, f"{one:,}", f"{other:,}")
    out().print(table)
    sides = (("training", dataset.train, train), ("held-out", dataset.held_out, held_out))
    for side, split, part in sides:
        _list(
            view,
            f"{side} images are there twice",
            pairs(split, split, part.repeated, (side, side)),
        )
        _list(
            view,
            f"{side} images are of one value",
            [(describe(split, i, side), 1) for i in part.constant],
        )
    _list(
        view,
        "held-out images are also training images, a leak",
        pairs(dataset.held_out, dataset.train, [(b, a) for a, b in found.leaks], ("held-out", "training")),
    )


def _list(view: Any, what: str, examples: list[tuple[str, int]]) -> None:
    """A warning with the first examples, each with how many images it stands for, if there is something to warn of."""
    if examples:
        rest = sum(count for _, count in examples[LISTED:])
        more = f"; and {rest:,} more" if rest else ""
        listed = "; ".join(text for text, _ in examples[:LISTED])
        view.warn(f"{sum(count for _, count in examples):,} {what}: {listed}{more}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
