"""Settings of Sphinx, and what a name in backticks leads to."""

from typing import Any

import public
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import fcnn

project = "fcnn"
version = release = fcnn.__version__
copyright = "The fcnn authors"

html_theme = "furo"
html_title = f"fcnn {version}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_show_search_summary = False  # a page in a file may not read other files
html_copy_source = html_show_sourcelink = html_show_copyright = False
pygments_style, pygments_dark_style = "friendly", "native"

default_role = "py:obj"
highlight_language = "none"  # most literal blocks are formulas
smartquotes_action = "D"  # dashes, no quotes
maximum_signature_line_length = 72
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.Node | None:
    """Find a public name by its last part, as docstrings and annotations give it."""
    target, kind = node["reftarget"], node["reftype"]
    found = public.find(target)
    domain: Any = env.get_domain("py")
    if len(found) == 1 and found[0] in domain.objects:
        link: nodes.Node | None = domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", found[0], node, shown
        )
        return link
    if kind == "obj" and not public.is_elsewhere(target):
        what = f"could be any of {', '.join(found)}" if found else "is no public name"
        logging.getLogger(__name__).warning(f"`{target}` {what}", location=node)
    return None


def setup(app: Sphinx) -> None:
    """Connect `resolve`."""
    app.connect("missing-reference", resolve)
