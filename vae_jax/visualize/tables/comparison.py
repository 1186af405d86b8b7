"""Rows of a table and samples of a model, and their associations."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import Dataset
from vae_jax.evaluation.association import Associations, association
from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.table_columns import NamedColumn, Rows, name_columns, read_table
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize import model_arrays

NUM_ROWS = 1_000  # rows of data, and samples
MAX_COLUMNS = 128  # columns whose associations are computed


class Comparison(NamedTuple):
    """Associations of columns in test data and in samples."""

    maps: Associations
    columns: tuple[NamedColumn, ...]  # their columns
    numbers: np.ndarray  # [C], their numbers in the table
    train_difference: float  # mean absolute difference of training rows in place of samples
    num_rows: int


def table_columns(model: TrainedModel, dataset: Dataset) -> tuple[NamedColumn, ...]:
    """The columns of a data set under the likelihood of a model."""
    num_columns = math.prod(dataset.test.shape)
    return name_columns(model.model.likelihood, num_columns, dataset.table)


def sample_rows(model: TrainedModel, test: Rows) -> model_arrays.Arrays:
    """Samples for a comparison with test rows: `NUM_ROWS`, or one for each y of the rows."""
    y = test.y if model.is_conditional else None
    num = NUM_ROWS if y is None else len(y)
    return model_arrays.sample(model, sample_key(), num, y=None if y is None else jnp.asarray(y))


def sample_key() -> Array:
    """The key [] of the samples, always the same."""
    return jax.random.fold_in(jax.random.key(0), 1)


def compare_associations(
    dataset: Dataset,
    columns: tuple[NamedColumn, ...],
    test: Rows,
    samples: np.ndarray,
) -> Comparison:
    """Compare associations of columns in test rows with samples [M, D], and with training rows.

    As many samples and training rows as test rows are used, and the samples lack the values that
    are missing in the test rows: so the bias of small numbers is in all of them alike. Of more than
    `MAX_COLUMNS` columns a random choice is compared.
    """
    index = choose_examples(len(columns), MAX_COLUMNS)
    chosen = tuple(columns[number] for number in index)
    ordered = [column.is_ordered for column in chosen]
    data = test.values[:, index]
    draws = np.asarray(samples[: len(data)], np.float64).reshape(-1, len(columns))[:, index]
    num = len(draws)
    train = read_table(dataset.train, len(data)).values[:, index]
    of_data = association(data, ordered)
    maps = Associations(of_data, association(draws, ordered, ~np.isnan(data[:num])))
    reference = Associations(of_data, association(train, ordered))
    return Comparison(maps, chosen, index, reference.difference, len(data))
