"""Molecules in pairs and in grids: reconstructions and samples."""

from collections.abc import Collection, Sequence

from matplotlib.figure import Figure

from vae_jax.visualize.colors import BLUE
from vae_jax.visualize.molecules.compare import canonical, format_similarity
from vae_jax.visualize.molecules.tiles import ACROSS, Block, Tile, tile_grid, wrap_tiles

NUM_PAIRS = 2 * ACROSS
NUM_SAMPLES = 5 * ACROSS


def reconstructions(
    originals: Sequence[str], decoded: Sequence[str | None], description: str = ""
) -> Figure:
    """Molecules above what their codes decode to; equal molecules are marked.

    The title counts all pairs, the first `NUM_PAIRS` are shown. `description` says how they were
    decoded.
    """
    pairs = list(zip(originals, decoded, strict=True))
    is_exact = [is_same(*pair) for pair in pairs]
    blocks = []
    for first in range(0, min(len(pairs), NUM_PAIRS), ACROSS):
        part = slice(first, min(first + ACROSS, NUM_PAIRS))
        below = [
            _compare(original, text, exact)
            for (original, text), exact in zip(pairs[part], is_exact[part], strict=True)
        ]
        blocks.append(Block([[Tile(original) for original, _ in pairs[part]], below]))
    title = "Test molecules above their reconstructions"
    title += f", {description}" if description else ""
    title += f": {_share(sum(is_exact), len(pairs))} are the same molecule"
    title += f"; the first {NUM_PAIRS} are shown" if len(pairs) > NUM_PAIRS else ""
    return tile_grid(blocks, title)


def _compare(original: str, text: str | None, exact: bool) -> Tile:
    if exact:
        return Tile(text, ("the same",), color=BLUE, like=original)
    if canonical(text) is None:
        return Tile(text, ("not a molecule",))
    return Tile(text, (f"Tanimoto similarity {format_similarity(original, text)}",), like=original)


def is_same(original: str, text: str | None) -> bool:
    """True if both are the same molecule, whatever the order of its atoms."""
    return canonical(original) is not None and canonical(original) == canonical(text)


def samples(
    smiles: Sequence[str | None], *, known: Collection[str] = (), description: str = ""
) -> Figure:
    """The first of decoded samples; those that are no molecule are shown as text.

    Args:
      smiles: all samples, which the title counts; the first `NUM_SAMPLES` are shown.
      known: SMILES of the training data; samples among them are marked.
      description: how they were drawn, for the title.
    """
    keys = [canonical(text) for text in smiles]
    valid = [key for key in keys if key is not None]
    in_data = {canonical(text) for text in known}
    tiles = []
    seen: set[str] = set()
    for text, key in zip(smiles[:NUM_SAMPLES], keys, strict=False):
        is_known = key is not None and key in in_data
        badge = "not a molecule" if key is None else "in the training data" * is_known
        tiles.append(Tile(text, (), "again" if key in seen else badge, BLUE if is_known else ""))
        seen |= {key} if key is not None else set()
    title = f"Samples, {description}" if description else "Samples"
    title += f": {_share(len(valid), len(keys))} are molecules"
    if valid:
        title += f", {len(set(valid)):,} of them different"
    if in_data and valid:
        num_new = len(set(valid) - in_data)
        title += f", {num_new:,} of these not in the training data"
    title += f"; the first {len(tiles)} are shown" if len(tiles) < len(keys) else ""
    return tile_grid([Block(wrap_tiles(tiles))], title)


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,}" + (f" ({count / total:.1%})" if total >= 50 else "")
