"""Answers of a trained model for some rows, as the fields of a file."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Distribution, FullGaussian
from vae_jax.evaluation.common import choose_examples
from vae_jax.experiment.rows.form import Form
from vae_jax.experiment.rows.reading import Rows, SplitReader
from vae_jax.experiment.rows.scoring import Reference, measure_reference, score_fields
from vae_jax.experiment.rows.text_reading import NAME, TEXT
from vae_jax.experiment.rows.writing import Field
from vae_jax.models.rows import RowScores
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array

logger = logging.getLogger(__name__)

Answer = Callable[[Rows], list[Field]]
MAX_REFERENCE = 20_000  # validation rows that a score is compared with
MAX_REFERENCE_LINES = 2_000  # the same for lines of text, which cost more


def score(model: TrainedModel, key: Array, draws: int, reference: Reference, form: Form) -> Answer:
    """Rows to their scores; see `scoring.score_fields`."""

    def answer(rows: Rows) -> list[Field]:
        return score_fields(_explain(model, key, draws, rows), reference, form.names)

    return answer


def _explain(model: TrainedModel, key: Array, draws: int, rows: Rows) -> RowScores:
    options = {"num_samples": draws, "first_row": rows.start}
    return jax.device_get(model.explain(key, rows.x, **given(model, rows), **options))


def given(model: TrainedModel, rows: Rows) -> dict[str, Any]:
    """The keyword arguments of methods that read rows: labels of a conditional model, and mask."""
    y = rows.y if model.is_conditional else None
    return {"y": y, "observed": rows.observed}


def make_reference(
    model: TrainedModel, valid: Any, key: Array, *, draws: int, quantile: float, size: int
) -> Reference:
    """The scores of validation rows, of the most that are allowed, chosen at random."""
    is_text = model.inputs is not None and model.inputs.text is not None
    most = MAX_REFERENCE_LINES if is_text else MAX_REFERENCE
    if valid.num_examples > most:
        valid = valid.select(choose_examples(valid.num_examples, most))
    prepared = dataclasses.replace(model, checks=False)
    key_data, key_scores = jax.random.split(key)
    parts = [
        _explain(prepared, key_scores, draws, rows)
        for rows in SplitReader(valid, key_data).parts(size)
    ]
    reference = measure_reference(parts, quantile, per_token=is_text)
    if reference.medians is None and valid.observed is not None and not is_text:
        logger.warning(
            "scores are sums over the observed values, so flags also depend on the number of these"
        )
    return reference


def encode(model: TrainedModel) -> Answer:
    """Rows to the center and the standard deviation of q(z | x), or to their codes."""
    has_told = False

    def answer(rows: Rows) -> list[Field]:
        nonlocal has_told
        q = model.encode(rows.x, **given(model, rows))
        if hasattr(q, "codes"):
            return [Field("code", np.asarray(q.codes))]
        fields = [Field("z", np.asarray(q.center))]
        stddev = posterior_stddev(q)
        if stddev is not None:
            return [*fields, Field("sd", np.asarray(stddev))]
        if not has_told:
            has_told = True
            logger.info(
                "the posterior (%s) has no standard deviation in closed form; sd is omitted",
                type(q).__name__,
            )
        return fields

    return answer


def posterior_stddev(q: Distribution) -> Array | None:
    """The standard deviation of each entry of z, [B, D]; None if it has no closed form."""
    if isinstance(q, FullGaussian):
        return jnp.sqrt(jnp.square(q.scale_tril).sum(-1))
    stddev = getattr(q, "stddev", None)
    return None if stddev is None else jnp.broadcast_to(stddev, q.center.shape)


def reconstruct(model: TrainedModel, form: Form) -> Answer:
    """Rows to the mean of p(x | z) at the center of q(z | x), the mode for categories.

    Lines of text become the texts of the most likely tokens, one after the other.
    """

    def answer(rows: Rows) -> list[Field]:
        x = np.asarray(model.reconstruct(rows.x, **given(model, rows)))
        if form.text is not None:
            return form.text_fields(x, "reconstruction")
        return form.fields(x, whole=False)

    return answer


def with_text(answer: Answer, form: Form) -> Answer:
    """The answer with the lines themselves as its first field, as they were read if known.

    The names of molecules follow, if the file has any.
    """

    def answer_with_text(rows: Rows) -> list[Field]:
        cells = rows.cells or {}
        texts = cells.get(TEXT)
        if texts is None:
            texts = np.array(form.text.decode_rows(rows.x), object)
        names = [Field(NAME, cells[NAME])] if NAME in cells else []
        return [Field(form.text_name, texts), *names, *answer(rows)]

    return answer_with_text


def sample(
    model: TrainedModel,
    key: Array,
    form: Form,
    *,
    num_samples: int,
    size: int,
    label: Any,
    temperature: float | None,
    means: bool,
) -> Iterator[list[Field]]:
    """New rows, some at a time. The first ones are the same for any number of samples."""
    for start in range(0, num_samples, size):
        x = model.sample(
            jax.random.fold_in(key, start // size),
            size,
            y=label,
            temperature=temperature,
            draws=not means,
        )
        count = min(size, num_samples - start)
        yield form.fields(np.asarray(x)[:count], whole=not means)
