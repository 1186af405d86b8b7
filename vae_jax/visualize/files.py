"""Figures as files: PNG, PDF or SVG, and SVG of a page, which adapts to light or dark."""

import io
import re
from collections.abc import Iterable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from vae_jax.files import Path, write_atomically

DPI = 130
_DARK_COLORS = {  # color of a chart -> its color on a dark page
    "#000000": "#e4e7ec",
    "#3b6fb6": "#7fb0f0",
    "#9bb8dc": "#5f82ad",
    "#c0392b": "#ff8a75",
    "#888888": "#a3a8b0",
    "#b0b0b0": "#7a808a",
    "#cccccc": "#565c66",
    "#1f77b4": "#5ea8e0",
}


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, PDF or SVG file, by the suffix of `path`, atomically; return the path.

    A PNG has `DPI` pixels per inch, or those of the figure if they are more. The same figure gives
    the same bytes.
    """
    content = io.BytesIO()
    kind = path.suffix.removeprefix(".")
    options: dict[str, Any] = {"format": kind, "dpi": max(DPI, figure.dpi), "facecolor": "white"}
    if kind == "png":
        options["pil_kwargs"] = {"compress_level": 2}  # faster
    else:
        options["metadata"] = {"Date" if kind == "svg" else "CreationDate": None}
    with matplotlib.rc_context({"svg.hashsalt": "vae_jax"}):
        figure.savefig(content, **options)
    write_atomically(path, content.getvalue())
    return path


def svg(figure: Figure) -> str:
    """The figure as a transparent SVG with text as text and lighter colors in dark mode.

    The same figure gives the same text.
    """
    content = io.StringIO()
    options = {"svg.fonttype": "none", "svg.hashsalt": "vae_jax", "font.family": "sans-serif"}
    metadata = {"Date": None, "Creator": None}
    with matplotlib.rc_context(options):
        figure.savefig(content, format="svg", transparent=True, metadata=metadata)
    text = re.sub(r"^.*?(?=<svg)", "", content.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for index, color in enumerate(_DARK_COLORS):
        text = text.replace(color, f"var(--c{index})")
    light = _css_variables(_DARK_COLORS)
    dark = _css_variables(_DARK_COLORS.values())
    rules = f":root{{{light}}}text{{fill:var(--c0)}}"
    rules += f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return text.replace("<defs>", f"<style>{rules}</style><defs>", 1)


def _css_variables(colors: Iterable[str]) -> str:
    return "".join(f"--c{index}:{color};" for index, color in enumerate(colors))
