"""Structures of molecules as lines and areas, which matplotlib writes as pixels or as vectors."""

import dataclasses
import functools
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from vae_jax.evaluation.molecules import canonical, parse

BOND = 25.0  # pixels of a bond; less in a molecule that would not fit
BOND_UNITS = 1.5  # length of a bond in RDKit's coordinates
LINE = 1.1  # pixels
SMALLEST, LARGEST = 6, 11  # pixels of the font of atoms
SHARP = 8  # RDKit rounds to 0.1 of its pixels, so it draws on a larger canvas
POINTS = 0.75  # points of a pixel
DARK_ATOMS = {  # atomic number -> color; RDKit's own are too pale on white
    9: (0.0, 0.45, 0.45),  # F
    16: (0.55, 0.45, 0.0),  # S
    17: (0.0, 0.5, 0.0),  # Cl
}
_CODES = {
    "M": (Path.MOVETO,),
    "L": (Path.LINETO,),
    "Q": (Path.CURVE3,) * 2,
    "C": (Path.CURVE4,) * 3,
    "Z": (Path.CLOSEPOLY,),
}


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A line, or an area without edge if `width` is 0, in pixels from the top left."""

    path: Path
    color: str
    width: float


@functools.lru_cache(maxsize=1024)
def draw_structure(
    smiles: str, width: int, height: int, like: str | None = None
) -> tuple[Stroke, ...] | None:
    """The structure in a box of pixels, None if the SMILES is not valid.

    Atoms come in the order of the canonical SMILES, so that equal molecules look the same. If the
    molecule has all rings of `like`, and what connects them, they are placed as in that molecule.
    """
    given, reordered = parse([smiles, *canonical([smiles])])
    molecule = given if reordered is None else reordered
    if molecule is None:
        return None
    from rdkit.Chem.Draw import rdMolDraw2D

    _place_atoms(molecule, like)
    drawer = rdMolDraw2D.MolDraw2DSVG(width * SHARP, height * SHARP)
    options: Any = drawer.drawOptions()
    options.fixedBondLength = BOND * SHARP / BOND_UNITS
    options.bondLineWidth = LINE * SHARP
    options.scaleBondWidth = False
    options.clearBackground = False
    options.padding = 0.04
    options.updateAtomPalette(DARK_ATOMS)
    options.minFontSize = SMALLEST * SHARP
    options.maxFontSize = LARGEST * SHARP
    options.baseFontSize = 0.55
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return _read_strokes(drawer.GetDrawingText())


def _place_atoms(molecule: Any, like: str | None) -> None:
    """Give a molecule coordinates in the plane, with the rings of another one as in that one."""
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    rdDepictor.Compute2DCoords(molecule, canonOrient=True)
    (other,) = parse(canonical([like]))
    if other is None:
        return
    rdDepictor.Compute2DCoords(other, canonOrient=True)
    try:
        rings = GetScaffoldForMol(other)
        if rings.GetNumAtoms() and molecule.HasSubstructMatch(rings):
            rdDepictor.GenerateDepictionMatching2DStructure(molecule, rings)
    except ValueError:  # the rings alone are no molecule
        rdDepictor.Compute2DCoords(molecule, canonOrient=True)


def add_structure(axes: Axes, strokes: tuple[Stroke, ...], x: float, y: float) -> None:
    """Add a structure whose box has its top left corner at x, y of a canvas."""
    groups: dict[tuple[str, float], list[Path]] = {}  # one artist for each is several times faster
    for stroke in strokes:
        groups.setdefault((stroke.color, stroke.width), []).append(stroke.path)
    for (color, width), paths in groups.items():
        path = Path.make_compound_path(*paths)
        axes.add_artist(
            PathPatch(
                Path(path.vertices + np.array([x, y]), path.codes),
                facecolor="none" if width else color,
                edgecolor=color if width else "none",
                linewidth=width * POINTS,
                capstyle="round",
                joinstyle="round",
                snap=False,  # would move small horizontal and vertical edges to whole pixels
            )
        )


def _read_strokes(svg: str) -> tuple[Stroke, ...]:
    """The paths of an SVG by RDKit, which consists of paths only."""
    root = ElementTree.fromstring(svg.encode("iso-8859-1", errors="replace"))
    strokes = []
    for element in root.iter("{http://www.w3.org/2000/svg}path"):
        style = dict(re.findall(r"([\w-]+):([^;]+)", element.get("style", "")), **element.attrib)
        path = _read_path(element.attrib["d"])
        fill = style.get("fill", "none")
        if fill != "none":
            strokes.append(Stroke(path, fill, 0.0))
        else:
            width = float(style.get("stroke-width", "1").removesuffix("px")) / SHARP
            strokes.append(Stroke(path, style["stroke"], width))
    return tuple(strokes)


def _read_path(text: str) -> Path:
    """A path of the absolute commands M, L, Q, C and Z."""
    vertices: list[tuple[float, float]] = []
    codes: list[int] = []
    for command, rest in re.findall(r"([MLQCZ])([^MLQCZ]*)", text):
        numbers = [float(number) / SHARP for number in re.findall(r"-?[\d.]+", rest)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True)) or [vertices[-1]]
        vertices += points
        codes += _CODES[command] * (len(points) // len(_CODES[command]))
    return Path(np.array(vertices), codes)
