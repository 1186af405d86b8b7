"""Molecules around a code, and on the way between two codes."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_jax.visualize.colors import BLUE
from vae_jax.visualize.molecules.compare import canonical, count_nouns, format_similarity
from vae_jax.visualize.molecules.tiles import ACROSS, Block, Tile, tile_grid, wrap_tiles
from vae_jax.visualize.text import merge_runs

NUM_NEIGHBORS = 2 * ACROSS - 1  # with the molecule itself, two rows
MAX_STEPS = 3 * ACROSS - 2  # with both ends, three rows


@dataclasses.dataclass(frozen=True)
class Neighborhood:
    """A molecule, and what codes around its own decode to.

    Attributes:
      center: SMILES of the molecule.
      decoded: what M codes decode to; None or text that is not valid included.
      distances: of these codes [M] to that of the molecule.
    """

    center: str
    decoded: Sequence[str | None]
    distances: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Interpolation:
    """The molecules that codes on the way from one molecule to another decode to, in order.

    Attributes:
      start: SMILES of the first molecule.
      end: SMILES of the last.
      decoded: what P codes decode to.
      parts: parts of the way [P], from 0 to 1.
    """

    start: str
    end: str
    decoded: Sequence[str | None]
    parts: Sequence[float]


def neighbors(neighborhoods: Sequence[Neighborhood], unit: str = "") -> Figure:
    """Molecules that codes around that of a molecule decode to, each once, the nearest first.

    Below each are the distance of its nearest code, the number of its codes, and its Tanimoto
    similarity to the first molecule. `unit` completes 'distance 1 is'.
    """
    blocks = [_neighbor_block(neighborhood) for neighborhood in neighborhoods]
    title = "Neighbors of test molecules in latent space, decoded, with their Tanimoto similarity"
    return tile_grid(blocks, title + (f"; distance 1 is {unit}" if unit else ""))


def _neighbor_block(neighborhood: Neighborhood) -> Block:
    center = canonical(neighborhood.center)
    distances: dict[str, list[float]] = {}
    order = np.argsort(neighborhood.distances, kind="stable").tolist()
    for number in order:
        key = canonical(neighborhood.decoded[number])
        if key is not None:
            distances.setdefault(key, []).append(float(neighborhood.distances[number]))
    tiles = [Tile(neighborhood.center, ("",), "data", BLUE)]
    for smiles, group in list(distances.items())[:NUM_NEIGHBORS]:
        where = f"distance {group[0]:.2f}"
        where += f" ({len(group)} codes)" if len(group) > 1 else ""
        is_center = smiles == center
        captions = (where, f"similarity {format_similarity(center, smiles)}")
        tiles.append(Tile(smiles, captions, "the same" * is_center, BLUE * is_center, center))
    num_valid = sum(map(len, distances.values()))
    header = f"{count_nouns(len(order), 'code')} around it: {num_valid} decode to a molecule, "
    header += f"{len(distances)} different"
    if len(distances) > NUM_NEIGHBORS:
        header += f", the nearest {NUM_NEIGHBORS} shown"
    return Block(wrap_tiles(tiles), header)


def interpolations(paths: Sequence[Interpolation]) -> Figure:
    """The way between the codes of two molecules, decoded; equal steps in a row are shown once.

    Steps that are no molecule are gray. Below the others is the Tanimoto similarity to both ends.
    """
    title = "Interpolations between the codes of two test molecules, decoded: Tanimoto similarity "
    title += "to the first, to the last"
    return tile_grid([_interpolation_block(path) for path in paths], title)


def _interpolation_block(path: Interpolation) -> Block:
    start, end = canonical(path.start), canonical(path.end)
    runs = merge_runs([canonical(text) or text for text in path.decoded])
    tiles = [Tile(path.start, ("first, data",), "data", BLUE)]
    shown = [runs[i] for i in subsample(len(runs), MAX_STEPS)]
    for text, first, last in shown:
        where = f"t = {path.parts[first]:.2f}"
        where += f"–{path.parts[last]:.2f}" if last > first else ""
        count = f"{last - first + 1}×" if last > first else ""
        if canonical(text) is None:
            similarity = "not a molecule"
        else:
            similarity = f"similarity {format_similarity(start, text)}, "
            similarity += format_similarity(end, text)
        tiles.append(Tile(text, (where, similarity), count, like=start))
    tiles.append(Tile(path.end, ("last, data",), "data", BLUE))
    is_valid = [canonical(text) is not None for text in path.decoded]
    different = {canonical(text) for text in path.decoded} - {None}
    header = f"{count_nouns(len(is_valid), 'step')}: {sum(is_valid)} decode to a molecule, "
    header += f"{len(different)} different"
    if len(shown) < len(runs):
        header += f"; {len(shown)} of {len(runs)} shown"
    return Block(wrap_tiles(tiles), header)


def subsample(count: int, limit: int) -> list[int]:
    """At most `limit` of the numbers 0 .. count - 1, evenly spaced."""
    if count <= limit:
        return list(range(count))
    return np.linspace(0, count - 1, limit).round().astype(int).tolist()
