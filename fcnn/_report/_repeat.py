"""The section of how to repeat a run."""

from __future__ import annotations

import html
import shlex
from collections.abc import Mapping
from typing import Any

from fcnn._folder import RunFolder
from fcnn._folder._asked import flat
from fcnn._report._text import pairs, section


def repeat(folder: RunFolder, config: Mapping[str, Any]) -> str:
    """Return the section."""
    fit, parts = config["fit"], []
    if fit is not None:
        parts += [
            "<p>This computes the run again, and says whether the bits agree:</p>",
            f"<pre>{html.escape(_call(folder, fit))}</pre>",
        ]
    if config["config"]:
        parts += ["<h3>Config</h3>", pairs({k: _short(v) for k, v in config["config"].items()})]
    if fit is not None:
        known = {name: _short(value) for name, value in flat(fit).items() if value is not None}
        parts += ["<h3>Arguments of fcnn.fit</h3>", pairs(known)]
        shas = {name: fit[name]["sha256"] for name in ("data", "validation") if fit[name]}
        parts += ["<h3>SHA-256 of the data</h3>", pairs(shas)]
    for i, session in enumerate(config["sessions"]):
        title = "Computed with" if i == 0 else "Resumed with"
        parts += [f"<h3>{title}</h3>", pairs(_facts(session))]
    return section("repeat", "How to repeat it", *parts)


def _call(folder: RunFolder, fit: Mapping[str, Any]) -> str:
    missing = [name for name, packed in fit["values"].items() if packed is None]
    missing += [n for n in ("data", "validation") if fit[n] and fit[n]["source"] is None]
    given = "".join(f", {name}=..." for name in missing)
    return f"import fcnn\nprint(fcnn.reproduce({str(folder.path)!r}{given}))"


def _facts(session: Mapping[str, Any]) -> dict[str, Any]:
    git = session.get("git")
    commit = "not in a git checkout" if git is None else git["commit"] + (
        ", with changes that are not in it" if git["changed"] else ""
    )  # fmt: skip
    known = {"began": session["began"], **session["environment"], "commit": commit}
    known["command"] = shlex.join(session["command"])
    if session.get("executor"):
        known["executor"] = session["executor"]
    return known


def _short(value: Any) -> Any:
    text = str(value)
    return text if len(text) <= 600 else text[:599] + "…"
