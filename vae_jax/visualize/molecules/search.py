"""The candidates of a search in latent space, with the value predicted and the value recomputed."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation.search.candidates import Candidates, Goal
from vae_jax.visualize.colors import BLUE, RED
from vae_jax.visualize.molecules.compare import count_nouns
from vae_jax.visualize.molecules.tiles import ACROSS, Block, Tile, tile_grid, wrap_tiles

NUM_BEST = {True: 2 * ACROSS, False: ACROSS}  # shown of a search, alone and among several
NUM_PROMISED = ACROSS


def best_found(
    candidates: Candidates,
    name: str,
    *,
    tolerance: float,
    goal: Goal = "maximize",
    best_training: float = math.nan,
) -> Figure:
    """The best molecules of each search by their recomputed value, and of all by the predicted one.

    Each molecule is shown once, with both values and the distance to the nearest training code. It
    is marked if it is in the training data, or if it fools the predictor: the prediction is too
    good by more than `tolerance`.

    Args:
      candidates: of one or several searches, decoded to SMILES.
      name: of the property.
      tolerance: error of a prediction that is not marked, in the unit of the property; such as a
        few times the mean error on held-out molecules.
      goal: maximize or minimize the property.
      best_training: best value in the training data, for the title.
    """
    sign = 1.0 if goal == "maximize" else -1.0
    methods = list(dict.fromkeys(candidates.method.tolist()))
    blocks = []
    for method in methods:
        table = candidates.select(candidates.method == method)
        best = table.best(NUM_BEST[len(methods) == 1], goal)
        header = f"{method}: {_count(table, sign, tolerance)}; the best by recomputed {name}"
        blocks.append(Block(_tiles(best, sign, tolerance), header))
    if len(candidates):
        tiles = _tiles(_promised(candidates, sign), sign, tolerance)
        blocks.append(Block(tiles, f"The best of all by predicted {name}"))
    title = f"Search in latent space to {goal} {name}"
    if math.isfinite(best_training):
        title += f"; the best training molecule that it knows has {best_training:.3g}"
    title += f". Red: predicted too good by more than {tolerance:.2g}"
    return tile_grid(blocks, title)


def _count(candidates: Candidates, sign: float, tolerance: float) -> str:
    """The numbers of candidates, of those that are no molecule, and of those that are marked."""
    num_invalid = int(np.sum(~candidates.is_valid))
    num_fooled = int(_is_fooled(candidates, sign, tolerance).sum())
    text = count_nouns(len(candidates), "candidate")
    return f"{text}, {num_invalid:,} not a molecule, {num_fooled:,} predicted too good"


def _promised(candidates: Candidates, sign: float) -> Candidates:
    """The best by predicted value, each decoded text once."""
    first: dict[str | None, int] = {}
    for i in np.argsort(-sign * candidates.predicted, kind="stable").tolist():
        if math.isfinite(candidates.predicted[i]):
            first.setdefault(candidates.decoded[i], i)
    return candidates.select(np.array(list(first.values())[:NUM_PROMISED], int))


def _is_fooled(candidates: Candidates, sign: float, tolerance: float) -> np.ndarray:
    """True, [M], for valid candidates whose prediction is too good by more than the tolerance."""
    excess = sign * (candidates.predicted - candidates.recomputed)
    return candidates.is_valid & (excess > tolerance)


def _tiles(candidates: Candidates, sign: float, tolerance: float) -> Sequence[Sequence[Tile]]:
    is_fooled = _is_fooled(candidates, sign, tolerance)
    return wrap_tiles([_tile(candidates, i, bool(is_fooled[i])) for i in range(len(candidates))])


def _tile(candidates: Candidates, i: int, is_fooled: bool) -> Tile:
    recomputed = candidates.recomputed[i]
    is_valid, is_known = bool(candidates.is_valid[i]), bool(candidates.in_training[i])
    predicted = f"predicted {candidates.predicted[i]:.2f}".replace("-", "−")
    if math.isfinite(candidates.predicted_stddev[i]):
        predicted += f" ± {candidates.predicted_stddev[i]:.2f}"
    captions = (
        f"recomputed {recomputed:.2f}".replace("-", "−") if is_valid else "not a molecule",
        predicted,
        f"distance {candidates.distance[i]:.2f}" + (", new" if is_valid and not is_known else ""),
    )
    badge = "in the training data" if is_known else "predicted too good" if is_fooled else ""
    color = RED if is_fooled else BLUE if is_known else ""
    return Tile(candidates.decoded[i], captions, badge, color)
