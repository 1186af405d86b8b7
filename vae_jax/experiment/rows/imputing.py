"""Missing values filled in: observed entries stay exactly as they were given."""

from typing import Any

import numpy as np

from vae_jax.data.inputs import Inputs
from vae_jax.data.tables.schema import CODED
from vae_jax.evaluation.imputation import Imputation
from vae_jax.experiment.rows.answers import Answer, given
from vae_jax.experiment.rows.form import Form
from vae_jax.experiment.rows.reading import Rows
from vae_jax.experiment.rows.writing import Field, column_values, shorten
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array


def impute(
    model: TrainedModel, key: Array, form: Form, *, draws: int, num_imputations: int | None
) -> Answer:
    """Rows to themselves with their missing values filled in.

    By conditional means, or the most likely codes, with a standard deviation or a probability; or
    `num_imputations` times by draws, in consecutive lines of a table.
    """
    options = {"num_samples": draws, "num_imputations": num_imputations}

    def answer(rows: Rows) -> list[Field]:
        result = model.impute(key, rows.x, **given(model, rows), first_row=rows.start, **options)
        observed = observed_entries(rows, model.inputs)
        if isinstance(result, Imputation):
            fields = _fill(np.asarray(result.values), rows, observed, form, model.inputs)
            return [*fields, *_spread(result, form, rows, model.inputs)]
        return _repeat(np.asarray(result), rows, observed, form, model.inputs)

    return answer


def observed_entries(rows: Rows, inputs: Inputs) -> np.ndarray:
    """The observed entries [n, *E] of rows."""
    observed = rows.observed
    if observed is None:
        is_float = rows.x.dtype.kind == "f"
        observed = ~np.isnan(rows.x) if is_float else np.ones(rows.x.shape, bool)
    observed = np.asarray(observed, bool)
    missing_axes = len(inputs.shape) + 1 - observed.ndim
    observed = observed.reshape(*observed.shape, *(1,) * missing_axes)
    return np.broadcast_to(observed, (len(rows), *inputs.shape))


def _fill(
    values: np.ndarray, rows: Rows, observed: np.ndarray, form: Form, inputs: Inputs
) -> list[Field]:
    """The rows with `values` [n, *E] in place of their missing entries."""
    if not form.is_flat:
        return [Field("x", _fill_array(values, rows, observed, inputs))]
    filled = {
        field.name: field._replace(values=_fill_column(field, rows, observed[:, number]))
        for number, field in enumerate(form.fields(values, whole=True))
    }
    return in_file_order(filled, rows, form)


def in_file_order(filled: dict[str, Field], rows: Rows, form: Form) -> list[Field]:
    """The columns in the order of their file, with those that the model ignores as they were read.

    Columns that the training data lacked are omitted.
    """
    if rows.cells is None or form.schema is None:
        return list(filled.values())
    others = {*form.schema.ignored, form.schema.split, form.schema.label}
    return [
        filled[name] if name in filled else Field(name, cells)
        for name, cells in rows.cells.items()
        if name in filled or name in others
    ]


def _fill_array(values: np.ndarray, rows: Rows, observed: np.ndarray, inputs: Inputs) -> np.ndarray:
    """An array of the dtype and the shape of the rows."""
    values = values / stored_scale(rows, inputs)
    values = (values if rows.x.dtype.kind == "f" else np.rint(values)).astype(rows.x.dtype)
    return np.where(observed.reshape(rows.x.shape), rows.x, values.reshape(rows.x.shape))


def stored_scale(rows: Rows, inputs: Inputs) -> float:
    """The factor from stored values to those of the model."""
    if rows.x.dtype.kind == "f" or inputs.values == "counts":
        return 1.0
    if inputs.bits and rows.x.dtype == np.uint16:
        return 1 / (2**inputs.bits - 1)
    return inputs.scale if rows.x.dtype != bool else 1.0


def _fill_column(field: Field, rows: Rows, observed: np.ndarray) -> Any:
    """A column of a table: cells as they were read, if they are known, else by their value."""
    cells = None if rows.cells is None else rows.cells.get(field.name)
    if cells is None:
        return field.values
    if isinstance(cells, np.ndarray):  # texts of a CSV file
        filled = column_values(field.values)
        filled = shorten(filled) if filled.dtype.kind == "f" else filled
        return np.where(observed, cells, filled.astype(object))
    filled = field.values if hasattr(field.values, "array") else cells.__class__(field.values)
    return cells.where(observed, filled.set_axis(cells.index))


def _spread(result: Imputation, form: Form, rows: Rows, inputs: Inputs) -> list[Field]:
    """Standard deviations of numbers, probabilities of codes, and effective sample sizes."""
    stddev, probability = np.asarray(result.stddev), np.asarray(result.probability)
    ess = Field("ess", np.asarray(result.ess))
    if not form.is_flat:
        stddev = stddev / stored_scale(rows, inputs)
        return [
            *([] if np.isnan(stddev).all() else [Field("sd", stddev)]),
            *([] if np.isnan(probability).all() else [Field("probability", probability)]),
            ess,
        ]
    fields = []
    for number, (name, kind) in enumerate(zip(form.names, form.kinds, strict=True)):
        if kind in CODED:
            fields.append(Field(f"{name}_probability", probability[:, number]))
        else:
            fields.append(Field(f"{name}_sd", stddev[:, number]))
    return [*fields, ess]


def _repeat(
    draws: np.ndarray, rows: Rows, observed: np.ndarray, form: Form, inputs: Inputs
) -> list[Field]:
    """Draws [n, M, *E]: an array of that shape, or M consecutive lines for each row."""
    count = draws.shape[1]
    if not form.is_flat:
        arrays = [_fill_array(draws[:, m], rows, observed, inputs) for m in range(count)]
        return [Field("x", np.stack(arrays, axis=1))]
    places = np.repeat(np.arange(len(rows)), count)
    values = draws.reshape(len(places), *draws.shape[2:])
    fields = _fill(values, rows.select(places), observed[places], form, inputs)
    return [Field("imputation", np.tile(np.arange(1, count + 1), len(rows))), *fields]
