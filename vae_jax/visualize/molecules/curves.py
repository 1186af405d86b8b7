"""The distribution of properties of molecules in the data and in samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation.molecules import properties, wasserstein
from vae_jax.evaluation.table_columns import NamedColumn
from vae_jax.visualize.tables.histograms import column_histograms

PROPERTY_NAMES = {
    "logp": "logP",
    "qed": "QED",
    "sa": "SA score",
    "weight": "weight",
}
UNITS = {"weight": "g/mol"}  # the other properties have none


def property_histograms(
    data: Sequence[str | None], samples: Sequence[str | None], *, split: str = "test"
) -> Figure:
    """Properties of valid molecules in the data and in samples, with their Wasserstein distances.

    `split` is that of the data, for the title.
    """
    of_data, of_samples = properties(data), properties(samples)
    columns, distances = [], []
    for name, label in PROPERTY_NAMES.items():
        unit = UNITS.get(name, "")
        columns.append(NamedColumn(f"{label} ({unit})" if unit else label))
        distance = wasserstein(of_data[name], of_samples[name])
        if np.isfinite(distance):
            distances.append(f"{label} {_format_distance(distance)} {unit}".rstrip())
    samples_table = _valid(of_samples)
    note = f"{len(samples_table):,} of {len(samples):,} samples are molecules"
    note += f"; Wasserstein distances: {', '.join(distances)}" if distances else ""
    return column_histograms(
        _valid(of_data),
        samples_table if len(samples_table) else None,
        columns=columns,
        split=split,
        noun="Properties",
        note=note,
    )


def _format_distance(distance: float) -> str:
    """Two digits or all whole ones, without an exponent: weights differ by hundreds."""
    return f"{distance:.0f}" if distance >= 10 else f"{distance:.2g}"


def _valid(values: dict[str, np.ndarray]) -> np.ndarray:
    """Properties [N, 4] of the valid molecules."""
    table = np.stack([values[name] for name in PROPERTY_NAMES], axis=1)
    return table[~np.isnan(table).any(axis=1)]
