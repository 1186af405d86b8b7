"""Methods of a trained model that answer for each row: scores, and missing values filled in."""

from typing import Any

import jax
import numpy as np

from vae_jax.data.inputs import Inputs
from vae_jax.errors import UnsupportedError, check_choice
from vae_jax.evaluation.imputation import Imputation
from vae_jax.models import rows
from vae_jax.models.arguments import check_key, check_number
from vae_jax.models.base import Capability, Model
from vae_jax.models.blocks import block_rows
from vae_jax.models.examples import convert_labels, convert_observed, make_batch
from vae_jax.types import Array, Params

SCORES = ("elbo", "likelihood", "reconstruction")


class RowMethods:
    """Bounds, scores and imputations of examples x [B, *E]; a base of `TrainedModel`."""

    model: Model
    params: Params
    inputs: Inputs | None
    checks: bool

    @property
    def is_conditional(self) -> bool:
        """True if the methods need `y`."""
        return self.model.conditioning is not None

    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability: "temperature", "traversals" or "flat_posterior"."""
        return self.model.supports(capability)

    def elbo(
        self,
        key: Array,
        x: Array,
        *,
        y: Array | None = None,
        observed: Array | None = None,
        num_samples: int = 1,
    ) -> Array:
        """The ELBO [B] of examples x [B, *E] in nats, the mean over K = `num_samples` draws of z.

        Examples of a model of binarized images are binarized as its test set was. An optimal sigma
        is for up to 256 examples at a time.
        """
        return self._scores(key, x, y, observed, num_samples).elbo

    def log_prob(
        self,
        key: Array,
        x: Array,
        *,
        y: Array | None = None,
        observed: Array | None = None,
        num_samples: int = 100,
    ) -> Array:
        """Importance-sampled log p(x), [B] nats: the log mean of K = `num_samples` weights.

        Its expectation is a lower bound, which rises with K (Burda et al., 2016, arXiv:1509.00519).
        Examples are binarized as for `elbo`.

        Raises:
          UnsupportedError: the posterior has no density, as in models of codes and autoencoders.
        """
        scores = self._scores(key, x, y, observed, num_samples, weights=True)
        if not isinstance(scores.rate, jax.core.Tracer) and not np.isfinite(scores.rate).any():
            raise UnsupportedError(
                "log_prob: the rate is infinite; a deterministic posterior has no marginal "
                "likelihood"
            )
        return scores.log_px

    def score(
        self,
        key: Array,
        x: Array,
        *,
        y: Array | None = None,
        observed: Array | None = None,
        kind: str = "elbo",
        num_samples: int = 16,
    ) -> Array:
        """Anomaly scores [B], higher for more anomalous examples.

        As in `vae_jax.evaluation.anomaly.scores`, with K = `num_samples` draws of z:
        'elbo' is -ELBO, 'likelihood' minus `log_prob`, 'reconstruction' -E_q[log p(x | z)]. They
        are sums over the observed values: compare rows with equal numbers of these, or divide by
        the numbers.
        """
        check_choice("kind", kind, SCORES)
        options: dict[str, Any] = {"y": y, "observed": observed, "num_samples": num_samples}
        if kind == "likelihood":
            return -self.log_prob(key, x, **options)
        if kind == "elbo":
            return -self.elbo(key, x, **options)
        return self._scores(key, x, y, observed, num_samples).distortion

    def explain(
        self,
        key: Array,
        x: Array,
        *,
        y: Array | None = None,
        observed: Array | None = None,
        num_samples: int = 100,
        first_row: int = 0,
    ) -> rows.RowScores:
        """All scores of each row: ELBO, distortion, rate, log p(x), and the part of each column.

        Each is a mean over K = `num_samples` draws of z. With K = 1, and in models without a
        density of z, `log_px` and `ess` are None. `columns` is for tables of at most 256 columns
        that are independent given z. Examples are binarized as for `elbo`. `first_row` is the
        number of rows of a file that were scored before, in parts of a multiple of
        `blocks.block_rows(x.shape[1:])`: then the scores are those of the whole file at once.
        """
        weights = num_samples > 1 and self.supports("latent_density")
        options: dict[str, Any] = {"weights": weights, "columns": True, "first_row": first_row}
        return self._scores(key, x, y, observed, num_samples, **options)

    def impute(
        self,
        key: Array,
        x: Array,
        *,
        y: Array | None = None,
        observed: Array | None = None,
        num_samples: int = 1000,
        num_imputations: int | None = None,
        first_row: int = 0,
    ) -> Imputation | Array:
        """Missing entries of x [B, *E] by their conditional mean, or the most likely code.

        Missing are NaN, if they were in the training data, and entries that are False in
        `observed`. K = `num_samples` draws of z are weighted by importance. With
        `num_imputations` = M the result is draws given the observed entries, [B, M, *E].
        `first_row` as for `explain`. See `vae_jax.evaluation.imputation`.

        Raises:
          UnsupportedError: a model of lines of text.
        """
        if self.inputs is not None and self.inputs.text is not None:
            raise UnsupportedError(
                "impute: lines of text have no missing values; the mask of a line is its length"
            )
        check_key(key)
        check_number("num_samples", num_samples)
        if num_imputations is not None:
            check_number("num_imputations", num_imputations)
        batch = self._batch(x, y, observed, first_row)
        number = first_row // block_rows(batch["x"].shape[1:])
        options = {"num_samples": num_samples, "num_imputations": num_imputations}
        return rows.impute_rows(self.model, self.params, batch, key, first_block=number, **options)

    def _scores(
        self,
        key: Array,
        x: Any,
        y: Any,
        observed: Any,
        num_samples: int,
        *,
        first_row: int = 0,
        **options: Any,
    ) -> rows.RowScores:
        check_key(key)
        check_number("num_samples", num_samples)
        batch = self._batch(x, y, observed, first_row)
        number = first_row // block_rows(batch["x"].shape[1:])
        options = {"num_samples": num_samples, "first_block": number, **options}
        return rows.score_rows(self.model, self.params, batch, key, **options)

    def _batch(self, x: Any, y: Any, observed: Any, first_row: int) -> dict[str, Array]:
        """The batch of a bound: x, binarized as the test set was, and what the model needs."""
        (x, observed), y = self._x(x, observed), self._y(y)
        if self.inputs is not None and self.checks and not isinstance(x, jax.core.Tracer):
            x = self.inputs.binarize(np.asarray(x), first_row)
        return make_batch(x, y, observed, conditioning=self.model.conditioning)

    def _x(self, x: Any, observed: Any) -> tuple[Any, Any]:
        if not self.checks:
            return x, observed
        return convert_observed(self.model.likelihood, x, self.inputs, observed)

    def _y(self, y: Any, *, is_flat: bool = True) -> Any:
        """Labels as the model needs them; those of one axis of examples may be [B, 1]."""
        if y is None or not self.checks or isinstance(y, jax.core.Tracer):
            return y
        classes = () if self.inputs is None else self.inputs.classes
        return convert_labels(self.model.conditioning, y, classes, is_flat=is_flat)
