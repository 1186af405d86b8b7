"""Figures as files: PNG, PDF or SVG, and SVG of a page, which adapts to light or dark."""

import io
import re
from collections.abc import Iterable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from vae_jax.files import Path, write_atomically
from vae_jax.visualize import fonts
from vae_jax.visualize.colors import DARK_PAGE

DPI = 130
_SETTINGS = {  # text of vector formats remains text, and files are reproducible
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "vae_jax",
}


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, PDF or SVG file, by the suffix of `path`, atomically; return the path."""
    write_atomically(path, render(figure, path.suffix.removeprefix(".")))
    return path


def render(figure: Figure, kind: str) -> bytes:
    """The content of a file of a kind: png, pdf or svg.

    A PNG has `DPI` pixels per inch, or those of the figure if they are more. Text in a PDF or SVG
    remains text, which other programs can edit. The same figure gives the same bytes.
    """
    content = io.BytesIO()
    options: dict[str, Any] = {"format": kind, "dpi": max(DPI, figure.dpi), "facecolor": "white"}
    if kind == "png":
        options["pil_kwargs"] = {"compress_level": 2}  # faster
    else:
        options["metadata"] = {"Date" if kind == "svg" else "CreationDate": None}
    fonts.add_missing_fonts(figure)
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(content, **options)
    return content.getvalue()


def svg(figure: Figure) -> str:
    """The figure as a transparent SVG with text as text and lighter colors in dark mode.

    The same figure gives the same text.
    """
    content = io.StringIO()
    metadata = {"Date": None, "Creator": None}
    fonts.add_missing_fonts(figure)
    with matplotlib.rc_context(_SETTINGS | {"font.family": "sans-serif"}):
        figure.savefig(content, format="svg", transparent=True, metadata=metadata)
    text = re.sub(r"^.*?(?=<svg)", "", content.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for index, color in enumerate(DARK_PAGE):
        text = text.replace(color, f"var(--c{index})")
    light = _css_variables(DARK_PAGE)
    dark = _css_variables(DARK_PAGE.values())
    rules = f":root{{{light}}}text{{fill:var(--c0)}}"
    rules += f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return text.replace("<defs>", f"<style>{rules}</style><defs>", 1)


def _css_variables(colors: Iterable[str]) -> str:
    return "".join(f"--c{index}:{color};" for index, color in enumerate(colors))
