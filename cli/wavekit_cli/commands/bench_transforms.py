"""wavekit bench transforms"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Context, Option

from wavekit_cli.commands.run import Device

if TYPE_CHECKING:
    from wavekit_core.report.cells import Cells

Rows = list[dict[str, Any]]
NOTE = (
    "Milliseconds of a call, float32, medians of {rounds} rounds in which everything is timed by turns, warm. Preallocated: "
    "results into existing tensors, beside copy_ into one; fresh: new tensors, beside clone. The share is that of the copy's "
    "bandwidth: its time over ours, twice its time where a backward pass follows. ptwt, which has no periodization, "
    "computes periodic. An empty cell: not offered, or more than 2 s a call."
)


def command(
    context: Context,
    quick: Annotated[bool, Option("--quick", help="Small images only: a minute instead of half an hour.")] = False,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    picture: Annotated[Path | None, Option(metavar="FILE", help="Draw the fresh rows there, as a .png.")] = None,
    device: Device = "cpu",
    kernel: Annotated[str | None, Option(metavar="NAME", help="Time this kernel instead of the chosen ones.")] = None,
    threads: Annotated[
        int | None, Option(metavar="N", min=1, help="Only with N threads (default: 1, and all).")
    ] = None,
    peers: Annotated[bool, Option("--peers/--no-peers", help="Whether to time other libraries too.")] = True,
    rounds: Annotated[int, Option(metavar="N", min=2, help="Rounds of which the median is taken.")] = 15,
) -> None:
    """Time the wavelet transforms here, beside copying their input and beside other libraries where they are installed."""
    from wavekit_core.runs.publish import require_place

    for file in (json_file, picture):
        require_place(file)
    from wavekit_cli.console import out, watcher
    from wavekit_cli.figures import print_table
    from wavekit_core.runs.publish import publish_file
    from wavekit_core.session import choose_device
    from wavekit_core.wavelets import bench

    rows = bench.measured(
        bench.QUICK if quick else bench.DEFAULT,
        choose_device(device),
        [threads] if threads else None,
        kernel,
        rounds,
        peers,
        watcher(),
    )
    console = out()
    for title, table in tables(rows):
        console.print(title)
        print_table(console, table)
        console.print()
    for line in reasons(rows):
        console.print(line)
    if json_file:
        result = document(rows, device, rounds, context.find_root().obj)
        publish_file(json_file, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
        console.print(f"figures: {json_file}")
    if picture:
        publish_file(picture, drawn(rows))
        console.print(f"picture: {picture}")


def tables(rows: Rows) -> Iterator[tuple[str, Cells]]:
    """A table a kind of memory and number of threads, each with its title."""
    for memory in ("preallocated", "fresh"):
        for threads in sorted({row["threads"] for row in rows}):
            some = [row for row in rows if (row["memory"], row["threads"]) == (memory, threads)]
            place = f"{threads} thread{'s' * (threads > 1)}"
            if some:
                yield f"{memory}, {place}, ms", _against_peers(some) if memory == "fresh" else _against_copy(some)


def _against_copy(rows: Rows) -> Cells:
    """A line a case: both directions, and the share of the copy's bandwidth that each reaches."""
    from wavekit_core.report.cells import Cells, number

    head = ["images", "kernel", "copy_", "forward", "share", "inverse", "share"]
    lines = []
    for case in dict.fromkeys(map(_case, rows)):
        own = {row["operation"]: row for row in rows if _case(row) == case}
        first = own["forward"]
        line = [case, first["kernel"], number(first["copy_ms"])]
        for operation in ("forward", "inverse"):
            line += [number(own[operation]["ours_ms"]), f"{share(own[operation]):.2f}"]
        lines.append(line)
    return Cells(head, lines)


def _against_peers(rows: Rows) -> Cells:
    """A line a case and operation, with how many times faster ours is than the best of the peers that do the same."""
    from wavekit_core.report.cells import Cells, number

    peers = _peers(rows)
    head = ["images", "operation", "kernel", "clone", "ours", "share", *peers, *(["best peer / ours"] if peers else [])]
    lines = []
    for row in rows:
        theirs = [row.get(f"{peer}_ms") for peer in peers]
        least = min((ms for ms in theirs if ms is not None), default=None)
        line = [_case(row), row["operation"], row["kernel"], number(row["copy_ms"]), number(row["ours_ms"])]
        line += [f"{share(row):.2f}", *map(number, theirs)]
        lines.append([*line, *([f"{least / row['ours_ms']:.1f}×" if least else ""] if peers else [])])
    return Cells(head, lines)


def share(row: dict[str, Any]) -> float:
    """Of the bandwidth of a copy."""
    return float((2 if "backward" in row["operation"] else 1) * row["copy_ms"] / row["ours_ms"])


def _case(row: dict[str, Any]) -> str:
    return f"{'×'.join(map(str, row['shape']))} {row['wavelet']}, {row['mode']}"


def _peers(rows: Rows) -> list[str]:
    keys = dict.fromkeys(key.removesuffix("_ms") for row in rows for key in row if key.endswith("_ms"))
    return [name for name in keys if name not in ("ours", "copy")]


def reasons(rows: Rows) -> list[str]:
    """Which kernel served what, and why."""
    served: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        served.setdefault((row["kernel"], row["why"]), {})[f"{row['wavelet']} ({row['mode']})"] = None
    return [f"{kernel}: {', '.join(those)}; {why}" for (kernel, why), those in served.items()]


def document(rows: Rows, device: str, rounds: int, argv: Sequence[str]) -> dict[str, Any]:
    """What `--json` writes; `docs/tables.py` reads it. Its tables show preallocated tensors on one thread, and the peers on
    all; the rows have everything."""
    from wavekit_cli.figures import command_line
    from wavekit_core.runs.facts import machine

    threads = sorted({row["threads"] for row in rows})
    wanted = (f"preallocated, {threads[0]} ", f"fresh, {threads[-1]} ")
    shown = [(title, table) for title, table in tables(rows) if title.startswith(wanted)]
    return {
        "title": "Speed of the transforms",
        "command": command_line(argv, ("--json", "--picture")),
        "machine": machine(),
        "commit": None,
        "device": device,
        "rounds": rounds,
        "versions": _versions(),
        "notes": [NOTE.format(rounds=rounds), *reasons(rows)],
        "tables": [
            {"head": [title, *table.head[1:]], "lines": [[*line] for line in table.lines]} for title, table in shown
        ],
        "rows": [
            {"figure": f"{_case(row)}: {row['operation']}, {row['memory']}", "value": row["ours_ms"], "unit": "ms"}
            | row
            for row in rows
        ],
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    from wavekit_core.wavelets.peers import found

    versions = {}
    for name in ("wavekit-core", "torch", "numpy", "numba", "triton"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions | found()


def drawn(rows: Rows) -> bytes:
    """A picture of the fresh rows with the most threads, a panel an operation: bars of ours and of the peers', as multiples of
    the time of a clone."""
    from matplotlib.figure import Figure

    threads = max(row["threads"] for row in rows)
    shown = [row for row in rows if row["memory"] == "fresh" and row["threads"] == threads]
    cases, names = list(dict.fromkeys(map(_case, shown))), ["ours", *_peers(shown)]
    height = 1.2 + 0.11 * (len(names) + 1) * len(cases)
    figure = Figure(figsize=(11, height), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, operation in zip(panels, ("forward", "forward+backward"), strict=True):
        own = {_case(row): row for row in shown if row["operation"] == operation}
        for i, name in enumerate(names):
            at = [
                (n + (i + 1) / (len(names) + 1), own[case]) for n, case in enumerate(cases) if f"{name}_ms" in own[case]
            ]
            times = [row[f"{name}_ms"] / row["copy_ms"] for _, row in at]
            axes.barh([y for y, _ in at], times, 1 / (len(names) + 1), label=name, color=f"C{i}")
        axes.axvline(1, color="grey", linewidth=1)
        axes.set_xscale("log")
        axes.set_title(operation, fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=7)
    panels[0].set_yticks([n + 0.5 for n in range(len(cases))], cases)
    panels[0].set_ylim(len(cases), 0)
    figure.supxlabel(f"times as long as a clone of the images, {threads} thread{'s' * (threads > 1)}", fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=7, loc="outside upper center", ncols=len(names))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
