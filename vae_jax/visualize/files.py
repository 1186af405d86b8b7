"""Figures as files: PNG for pictures, and SVG for charts, whose colors follow the page they are in."""

import io
import pathlib
import re

import matplotlib
from matplotlib.figure import Figure

from vae_jax.files import write_atomically

DPI = 130
_DARK = {  # color of a chart -> what stands for it on a dark page
    "#000000": "#e4e7ec",
    "#3b6fb6": "#7fb0f0",
    "#9bb8dc": "#5f82ad",
    "#c0392b": "#ff8a75",
    "#888888": "#a3a8b0",
    "#b0b0b0": "#7a808a",
    "#cccccc": "#565c66",
    "#1f77b4": "#5ea8e0",
}


def save(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Writes a PNG, whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight", facecolor="white")
    write_atomically(path, content.getvalue())
    return path


def svg(figure: Figure) -> str:
    """The figure as a picture of its own in SVG: transparent, letters as text, and lighter where the reader's colors are dark.

    The same figure gives the same text.
    """
    content = io.StringIO()
    options = {"svg.fonttype": "none", "svg.hashsalt": "vae_jax", "font.family": "sans-serif"}
    with matplotlib.rc_context(options):
        figure.savefig(
            content, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = re.sub(r"^.*?(?=<svg)", "", content.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for number, color in enumerate(_DARK):
        text = text.replace(color, f"var(--c{number})")
    light, dark = (
        "".join(f"--c{number}:{color};" for number, color in enumerate(colors))
        for colors in (_DARK, _DARK.values())
    )
    rules = f":root{{{light}}}text{{fill:var(--c0)}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return text.replace("<defs>", f"<style>{rules}</style><defs>", 1)
