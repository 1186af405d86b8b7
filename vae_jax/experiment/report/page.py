"""Rendering: plain blocks become sections, and sections one self-contained page.

A block is a dict with a "kind"; the templates of this folder turn it into HTML and escape its text.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from vae_jax import visualize

Block = Mapping[str, Any]
Maker = Callable[[], Sequence[Block]]

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("vae_jax.experiment.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_INVALID_DATA = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def heading(text: str, level: int) -> Block:
    """A heading; the sections of a page have level 2."""
    return {"kind": "heading", "text": text, "level": level}


def paragraph(text: str, style: str = "") -> Block:
    """A paragraph with a CSS class."""
    return {"kind": "paragraph", "text": text, "style": style}


def note(text: str) -> Block:
    """A note that something is missing, and why."""
    return paragraph(text, "note")


def headline(before: str, strong: str, after: str = "") -> Block:
    """The most important number of a page."""
    return {"kind": "headline", "before": before, "strong": strong, "after": after}


def code(text: str) -> Mapping[str, str]:
    """A table cell in a fixed-width font."""
    return {"code": text}


def table(head: Sequence[object], rows: Iterable[Sequence[object]], style: str = "") -> Block:
    """A table; the first column names the rows."""
    return {"kind": "table", "head": head, "rows": list(rows), "style": style}


def charts(figures: Iterable[tuple[Figure, str]]) -> list[Block]:
    """Charts side by side, each with its alternative text; empty if there are none."""
    entries = [{"content": encode(visualize.svg(f).encode()), "alt": alt} for f, alt in figures]
    return [{"kind": "charts", "charts": entries}] if entries else []


def encode(content: bytes) -> str:
    """Base64 for a data URL."""
    return base64.b64encode(content).decode()


@dataclasses.dataclass(frozen=True)
class Section:
    """A rendered part of the page, listed in its table of contents."""

    id: str
    title: str
    body: Markup

    @property
    def num_bytes(self) -> int:
        """Size of the HTML."""
        return len(self.body.encode(errors="replace"))


def render_section(id: str, title: str, make: Maker) -> Section | None:
    """Render blocks, or a note if their data are invalid; None if there are no blocks."""
    try:
        blocks = make()
    except _INVALID_DATA as error:
        blocks = [note(f"This part cannot be shown ({type(error).__name__}: {error}).")]
    if not blocks:
        return None
    body = _ENVIRONMENT.get_template("blocks.html.j2").render(blocks=blocks)
    return Section(id, title, Markup(body))


def render_page(title: str, header: Maker, sections: Sequence[Section]) -> str:
    """The whole page, which loads nothing from elsewhere."""
    top = render_section("top", "Report", header)
    template = _ENVIRONMENT.get_template("page.html.j2")
    return template.render(title=title, header=top.body if top else "", sections=sections)
