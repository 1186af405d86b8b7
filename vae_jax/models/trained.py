"""A trained model: a module with its parameters."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from vae_jax.data.images import describe_shape
from vae_jax.data.inputs import Inputs
from vae_jax.distributions import Distribution
from vae_jax.errors import UnsupportedError, check_choice
from vae_jax.interpolation import Kind, interpolate
from vae_jax.models import rows
from vae_jax.models.base import Capability, Model
from vae_jax.models.blocks import block_rows
from vae_jax.models.examples import convert_labels, convert_observed, make_batch
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array, Params, Scalar

SCORES = ("elbo", "likelihood", "reconstruction")


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model with its parameters, trained here or loaded.

    Every method is compiled at its first call for a shape. Examples x [B, *E] and labels y are
    given as the training data were: images may lack their channel axis, and integers are scaled if
    the run scaled its integers. Values are checked once on the host, against the range of the
    training data and the support of the likelihood; messages name the allowed range. Inside
    `jax.jit` nothing is checked.

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, likelihoods, nets, posteriors, priors
    >>> from vae_jax.models.trained import TrainedModel
    >>> module = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
    ...              priors.StandardNormal(2), likelihoods.Bernoulli((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> model = TrainedModel(module, module.init(key, x, key))
    >>> model.reconstruct(x).shape, model.sample(key, 6, temperature=0.7).shape
    ((4, 3), (6, 3))
    >>> model.supports("traversals")
    True
    >>> model.elbo(key, x).shape, model.log_prob(key, x, num_samples=8).shape
    ((4,), (4,))
    >>> model
    TrainedModel(VAE with Bernoulli, rows of 3 columns, 119 parameters)
    """

    model: Model
    params: Params = dataclasses.field(repr=False)
    config: Any = None  # config of the run
    step: int | None = None  # step of the checkpoint
    last_step: int | None = None  # step of the checkpoint, at or after `step`
    selection_score: float | None = None  # validation score at the step; higher is better
    score_name: str = ""  # such as "ELBO"
    inputs: Inputs | None = None  # the form of the training data
    checks: bool = True  # False: x and y reach the model as they are

    def __repr__(self) -> str:
        event = read_attribute(self.model.likelihood, "event_shape")
        size = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        parts = [f"{type(self.model).__name__} with {type(self.model.likelihood).__name__}"]
        parts += [] if event is None else [describe_shape(tuple(event))]
        parts += [f"{size:,} parameters"]
        parts += [] if self.step is None else [f"step {self.step}"]
        if self.selection_score is not None:
            parts += [f"{self.score_name} on validation {self.selection_score:.6g}"]
        return f"TrainedModel({', '.join(parts)})"

    @functools.cached_property
    def _apply(self) -> Any:
        try:
            return _compile(self.model)
        except TypeError:  # not hashable: a field holds a list
            return _compile.__wrapped__(self.model)

    @property
    def is_conditional(self) -> bool:
        """True if the methods need `y`."""
        return self.model.conditioning is not None

    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability: "temperature", "traversals" or "flat_posterior"."""
        return self.model.supports(capability)

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Distribution:
        """q(z | x) for x [B, *E], over [B, D]. `y` [B] or [B, C] is for a conditional model."""
        x, observed = self._x(x, observed)
        return self._apply(self.params, x, y=self._y(y), observed=observed, method="encode")

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [..., D]: a distribution over [..., *E]."""
        return self._apply(self.params, z, y=self._y(y, is_flat=False), method="decode")

    def reconstruct(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Array:
        """The mean of p(x | z) at the posterior center, [B, *E]; a draw if it has no mean."""
        return self.image(self.encode(x, y=y, observed=observed).center, y=y)

    def image(self, z: Array, *, y: Array | None = None) -> Array:
        """An image of p(x | z) for z [..., D]: its mean, [..., *E], or a draw if it has no mean."""
        return _image(self.decode(z, y=y))

    def sample(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
        draws: bool = False,
    ) -> Array:
        """Means of p(x | z) at draws of z from the prior, [num_samples, *E]; draws if without mean.

        With `draws` they are draws of p(x | z) in any case. `y` [num_samples] or [num_samples, C]
        is for a conditional model. `temperature` below 1 narrows the prior; raises
        UnsupportedError if the prior has none.
        """
        key_z, key_x = jax.random.split(key)
        p = self.generate(key_z, num_samples, y=y, temperature=temperature)
        return _draw(p, key_x) if draws else _image(p, key_x)

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at draws of z from the prior, over [num_samples, *E]; options as of `sample`."""
        options = {"num_samples": num_samples, "y": self._y(y), "temperature": temperature}
        return self._apply(self.params, key, **options, method="generate")

    def interpolate(
        self,
        start: Array,
        end: Array,
        num_points: int = 8,
        *,
        kind: Kind = "linear",
        y: Array | None = None,
    ) -> Array:
        """Decoded means [num_points, B, *E] between posterior centers of two batches [B, *E]."""
        codes = _interpolate(
            self.encode(start, y=y).center, self.encode(end, y=y).center, num_points, kind=kind
        )
        return self.image(codes, y=y)

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
        log_px = self._scores(key, x, y, observed, num_samples, weights=True).log_px
        if not isinstance(log_px, jax.core.Tracer) and not np.isfinite(log_px).any():
            raise UnsupportedError(
                "log_prob: no weight is finite; a deterministic posterior has no marginal "
                "likelihood"
            )
        return log_px

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
        'elbo' is -ELBO, 'likelihood' minus `log_prob`, 'reconstruction' -E_q[log p(x | z)].
        """
        check_choice("kind", kind, SCORES)
        options = {"y": y, "observed": observed, "num_samples": num_samples}
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
        options = {"weights": weights, "columns": True, "first_row": first_row}
        return self._scores(key, x, y, observed, num_samples, **options)

    def _scores(
        self,
        key: Array,
        x: Any,
        y: Any,
        observed: Any,
        num_samples: int,
        *,
        first_row: int = 0,
        **options: bool,
    ) -> rows.RowScores:
        batch = self._batch(x, y, observed, first_row)
        number = first_row // block_rows(batch["x"].shape[1:])
        options = {"num_samples": num_samples, "first_block": number, **options}
        return rows.score_rows(self.model, self.params, batch, key, **options)

    def _batch(self, x: Any, y: Any, observed: Any, first_row: int) -> dict[str, Array]:
        """The batch of a bound: x, binarized as the test set was, and what the model needs."""
        (x, observed), y = self._x(x, observed), self._y(y)
        if self.inputs is not None and self.checks and not isinstance(x, jax.core.Tracer):
            x = self.inputs.binarize(np.asarray(x), first_row)
        return make_batch(x, y, observed, is_conditional=self.is_conditional)

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


def _image(p: Distribution, key: Array | None = None) -> Array:
    return p.mean if p.has_mean else _draw(p, jax.random.key(0) if key is None else key)


_interpolate = jax.jit(interpolate, static_argnames=("num_points", "kind"))
_draw = jax.jit(lambda p, key: p.sample(key))


@functools.lru_cache(maxsize=8)
def _compile(model: Model) -> Any:
    """Compile once for equal models, such as the trials of a sweep."""
    return jax.jit(model.apply, static_argnames=("method", "num_samples"))
