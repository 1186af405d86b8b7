"""The data that candidates of a search are compared with."""

import dataclasses
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from vae_jax.errors import InputError
from vae_jax.evaluation.common import check_same, matrix, vector
from vae_jax.evaluation.search.candidates import Candidates, as_texts, mark_duplicates

ROWS = 256  # codes whose distances to all others are in memory at once


class Decoded(NamedTuple):
    """The result of decoding M codes."""

    examples: Sequence[Hashable | None]  # None if invalid
    values: np.ndarray  # recomputed from the examples, [M]; NaN if invalid


Decode: TypeAlias = Callable[[np.ndarray], Decoded]
"""Z [M, D] -> what the codes decode to, and its values."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """Codes of training examples with their values, for predictions, starts and distances."""

    z: np.ndarray  # [N, D]
    values: np.ndarray  # [N]
    examples: Sequence[Hashable | None]  # [N], in the form that `Decode` returns
    known: Collection[Hashable]  # all training examples in that form, a set
    unit: float  # typical distance of a held-out code to its nearest code, see `typical_distance`
    log_prior: Callable[[np.ndarray], Any]  # z [M, D] -> log p(z) [M], nats

    def __post_init__(self) -> None:
        matrix("z", self.z)
        vector("values", self.values)
        check_same("len(values)", len(self.values), "z", len(self.z))
        check_same("len(examples)", len(self.examples), "z", len(self.z))

    def distance(self, z: Any) -> np.ndarray:
        """Distance to the nearest code in units of `unit`, [M]."""
        return nearest_distances(z, self.z) / self.unit

    def tabulate(
        self,
        method: str,
        z: np.ndarray,
        decoded: Decoded,
        predicted: np.ndarray,
        *,
        predicted_stddev: np.ndarray | None = None,
        start: np.ndarray | None = None,
        rounds: np.ndarray | None = None,
    ) -> Candidates:
        """The table of candidates z [M, D]; `start` [M] are rows of `z` of the reference, or -1."""
        number = len(z)
        start = np.full(number, -1) if start is None else np.asarray(start, int)
        nothing = np.full(number, np.nan)
        return Candidates(
            method=as_texts([method] * number),
            round=np.zeros(number, int) if rounds is None else rounds,
            start=start,
            start_decoded=as_texts([self.examples[i] if i >= 0 else None for i in start.tolist()]),
            start_value=np.where(start >= 0, np.asarray(self.values, np.float64)[start], np.nan),
            predicted=np.asarray(predicted, np.float64),
            predicted_stddev=nothing if predicted_stddev is None else predicted_stddev,
            decoded=as_texts(decoded.examples),
            recomputed=np.asarray(decoded.values, np.float64),
            distance=self.distance(z),
            log_prior=np.asarray(self.log_prior(z), np.float64),
            in_training=np.array([x is not None and x in self.known for x in decoded.examples]),
            is_duplicate=mark_duplicates(decoded.examples),
            z=np.asarray(z),
        )


def nearest_distances(z: Any, codes: Any) -> np.ndarray:
    """The Euclidean distance of each of z [M, D] to the nearest of codes [N, D], [M]."""
    z, codes = matrix("z", z), matrix("codes", codes)
    check_same("z.shape[1]", z.shape[1], "codes", codes.shape[1])
    center = codes.mean(axis=0)
    squares = np.square(codes - center).sum(axis=1) / 2
    distances = []
    for start in range(0, len(z), ROWS):
        part = z[start : start + ROWS]
        nearest = (squares - (part - center) @ (codes - center).T).argmin(axis=1)
        # From the difference: a difference of squares has lost the digits of a short distance.
        distances.append(np.linalg.norm(part - codes[nearest], axis=1))
    return np.concatenate(distances)


def typical_distance(held_out: Any, codes: Any) -> float:
    """The median distance of held-out codes [M, D] to the nearest of codes [N, D].

    Raises InputError if it is 0: most held-out codes are training codes.
    """
    distance = float(np.median(nearest_distances(held_out, codes)))
    if distance == 0:
        raise InputError("held_out: most of its codes are equal to training codes")
    return distance
