"""report.html: one self-contained page about a run."""

from __future__ import annotations

import html

from wavekit_core import hooks
from wavekit_core.registry import installed
from wavekit_core.report import standard
from wavekit_core.report.sections import Section, View, page
from wavekit_core.runs.folder import RunFolder, json_of
from wavekit_core.session import Session


def render(session: Session, folder: RunFolder, step: int) -> bytes:
    """The page for a checkpoint whose averaged weights are in place. A plugin's section that fails is said so in its place."""
    evaluation = json_of(folder.head()["evaluation.json"], folder.path / "evaluation.json")
    view = View(folder, session, step, folder.rows(), evaluation)
    sections = [make(view) for make in standard.SECTIONS]
    shown = [section for section in sections[:-2] + _of_plugins(view) + sections[-2:] if section]
    lock = folder.lock()
    lead = f"Step {step}, seed {lock['seed']}."
    if lock["inexact"]:
        lead += " <span class=fault>Resumed in a changed environment: not exactly reproducible.</span>"
    return page(session.recipe.name, lead, shown, step)


def _of_plugins(view: View) -> list[Section | None]:
    found: list[Section | None] = []
    for plugin, section in hooks.each(installed().manager, "report_section", view=view):
        if not isinstance(section, Section | None):
            kind = type(section).__name__
            what = f"{kind}: {section}" if isinstance(section, Exception) else f"it gave a {kind}, no Section"
            section = Section("A plugin's section failed", f"<p class=fault>{html.escape(f'{plugin}: {what}')}</p>")
        found.append(section)
    return found
