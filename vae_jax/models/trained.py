"""A trained model: a module with its parameters."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from flax.errors import ScopeParamShapeError

from vae_jax.data.images import describe_shape
from vae_jax.data.inputs import Inputs
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.interpolation import Kind, interpolate
from vae_jax.models.arguments import check_key, check_number, check_temperature
from vae_jax.models.base import Model
from vae_jax.models.row_methods import RowMethods
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array, Params, Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel(RowMethods):
    """A model with its parameters, trained here or loaded.

    Every method is compiled at its first call for a shape. Examples x [B, *E] and labels y are
    given as the training data were: images may lack their channel axis, and integers are scaled if
    the run scaled its integers. Values are checked once on the host, against the range of the
    training data and the support of the likelihood; messages name the allowed range. Inside
    `jax.jit` no values of x and y are checked; the key, `num_samples` and the shape of y are. A
    model of a table also takes data frames with its columns, in any order;
    `vae_jax.data.tables.decode_rows(model.inputs.table, rows)` makes one of rows [B, C]. A model of
    lines of text also takes a list of texts, and `text` gives the texts of rows [B, L].

    Values of x are missing where `observed` [B, *E] is False and, if the training data had missing
    values, where x is NaN. The encoder sees zeros there, and bounds are of the observed values.

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

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Distribution:
        """q(z | x) for x [B, *E], over [B, D]. `y` [B] or [B, C] is for a conditional model."""
        x, observed = self._x(x, observed)
        return self._apply(self.params, x, y=self._y(y), observed=observed, method="encode")

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [..., D]: a distribution over [..., *E].

        Raises InputError for codes of another size than those of `encode`, or such y.
        """
        y = self._y(y, is_flat=False)
        try:
            return self._apply(self.params, z, y=y, method="decode")
        except ScopeParamShapeError as error:
            message = f"z has shape {np.shape(z)}: must be [..., D], codes of the size of `encode`"
            if y is not None:
                message += f"; or y, of shape {np.shape(y)}, is not of the size of the training"
            raise InputError(message) from error

    def reconstruct(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Array:
        """A typical x of p(x | z) at the posterior center, [B, *E], see `image`."""
        return self.image(self.encode(x, y=y, observed=observed).center, y=y)

    def image(self, z: Array, *, y: Array | None = None) -> Array:
        """A typical x of p(x | z) for z [..., D]: [..., *E].

        The mean, the greedy sequence of tokens, or a draw if there is neither. Autoregressive draws
        use the same random numbers for all z, so that they differ only as far as p(x | z) does.
        """
        return _comparable(self.decode(z, y=y), jax.random.key(0))

    def text(self, x: Array) -> list[str]:
        """The texts of rows x [B, L] of token numbers, as those of `sample`; SMILES of molecules.

        Raises:
          UnsupportedError: the training data were not lines of text.
        """
        if self.inputs is None or self.inputs.text is None:
            raise UnsupportedError("text: the model was not trained on lines of text")
        return self.inputs.text.decode_rows(np.asarray(x))

    def sample(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
        draws: bool = False,
    ) -> Array:
        """Typical x of p(x | z) at draws of z from the prior, [num_samples, *E].

        The mean, the greedy sequence of tokens, or an independent draw if there is neither. With
        `draws` they are draws of p(x | z) in any case. `y` [num_samples] or [num_samples, C] is for
        a conditional model. `temperature` below 1 narrows the prior; raises UnsupportedError if the
        prior has none.
        """
        check_key(key)
        key_z, key_x = jax.random.split(key)
        p = self.generate(key_z, num_samples, y=y, temperature=temperature)
        return _draw(p, key_x) if draws else _typical(p, key_x)

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at draws of z from the prior, over [num_samples, *E]; options as of `sample`."""
        check_key(key)
        check_number("num_samples", num_samples)
        check_temperature(temperature)
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
        observed: tuple[Array, Array] | None = None,
    ) -> Array:
        """Decoded means [num_points, B, *E] between posterior centers of two batches [B, *E].

        `observed` are the masks of both, each [B, *E].

        Raises:
          InputError: batches of unequal sizes.
        """
        ends = zip((start, end), observed or (None, None), strict=True)
        codes = [self.encode(x, y=y, observed=mask).center for x, mask in ends]
        if len({np.shape(code) for code in codes}) > 1:
            raise InputError(
                f"end has {len(codes[1])} examples, start {len(codes[0])}: must have equally many"
            )
        return self.image(_interpolate(*codes, num_points, kind=kind), y=y)


_interpolate = jax.jit(interpolate, static_argnames=("num_points", "kind"))
_draw = jax.jit(lambda p, key: p.sample(key))
_typical = jax.jit(lambda p, key: p.typical(key))
_comparable = jax.jit(lambda p, key: p.comparable(key))


@functools.lru_cache(maxsize=8)
def _compile(model: Model) -> Any:
    """Compile once for equal models, such as the trials of a sweep."""
    return jax.jit(model.apply, static_argnames=("method", "num_samples"))
