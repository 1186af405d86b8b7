"""The contract of models: what objectives, evaluation and visualization call by name."""

from typing import Any, Literal, Protocol, Self, TypeAlias

from vae_jax.distributions import Distribution
from vae_jax.nets.units import Units
from vae_jax.posteriors.base import PosteriorHead, Quantizer
from vae_jax.priors.base import CodePrior, Prior
from vae_jax.types import Array, Outputs, Params, Scalar

Capability: TypeAlias = Literal["temperature", "traversals", "flat_posterior", "latent_density"]
"""Capabilities that some models lack:

temperature     its prior can be sampled at a temperature
traversals      a single dimension of z has a meaning; not for the vectors of codes
flat_posterior  q(z | x) is over [B, D] and depends on x alone; not for a hierarchy
latent_density  p(z) is a density that can be evaluated at any z; the model is a `LatentModel`
"""


class Model(Protocol):
    """A Flax module that composes parts and returns `Outputs`.

    Methods are called as ``model.apply(params, ..., method="encode")``, except `supports` and
    `clone`, which need no parameters. A missing part is None.
    """

    likelihood: Any  # h -> p(x | z), see `vae_jax.likelihoods.Likelihood`
    conditioning: Any  # y [B] or [B, C] -> c [B, C]
    critic: Any  # z [N, D] -> logits [N, 2], of a `CriticModel`
    classifier: Any  # x [N, *E] -> logits, of a `ClassifierModel`
    regressor: Any  # z [N, D] -> [N], of a `PropertyModel`
    units: Units | None  # the scale of x, see `vae_jax.nets.units`
    mask_input: bool  # True if networks see the mask of observed values too

    @property
    def prior(self) -> Prior | None:
        """() or c -> p(z); None if it shares parameters with the posterior."""

    @property
    def posterior(self) -> PosteriorHead | None:
        """Features h -> q(z | x); None if it shares parameters with the prior."""

    def clone(self, **fields: Any) -> Self:
        """A copy with other values of some fields."""

    def init(self, key: Array, x: Array, key_z: Array) -> Params:
        """Initialize the parameters for inputs like x [B, *E]."""

    def apply(self, params: Params, *args: Any, method: str | None = None, **options: Any) -> Any:
        """Call the model, or one of its methods by name."""

    def __call__(
        self,
        x: Array,
        key: Array,
        *,
        y: Array | None = None,
        num_samples: int = 1,
        inputs: Array | None = None,
        observed: Array | None = None,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound for x [B, *E] with K = `num_samples` draws of z each.

        `observed` [B, *E], here and below, is True at the values of x that are observed; the others
        are integrated out, and change nothing. None means all. `history` [B, *E] replaces x as the
        past that an autoregressive p(x | z) sees.
        """

    def infer(self, x: Array, *, y: Array | None = None, observed: Array | None = None) -> Any:
        """One pass of the encoder for x [B, *E], the input of `outputs`."""

    def outputs(
        self,
        inferred: Any,
        x: Array,
        key: Array,
        *,
        num_samples: int = 1,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound at K = `num_samples` draws of z for each x [B, *E]."""

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Distribution:
        """q(z | x) for x [B, *E], over [B, D]."""

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [*lead, D], over [*lead, *E]."""

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at `num_samples` draws of z from the prior, over [num_samples, *E].

        Raises UnsupportedError if a temperature is given to a model without one.
        """

    def __hash__(self) -> int:
        """Equal for equal models: programs are compiled once for both."""

    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability."""


class LatentModel(Model, Protocol):
    """A model that supports "latent_density": for importance samples, AIS and the inference gap."""

    def log_joint(
        self, x: Array, z: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> tuple[Array, Array]:
        """The terms log p(z) and log p(x | z), each [K, B], at any z [K, B, D] for x [B, *E]."""

    def sample_prior(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Array:
        """Draws z [num_samples, D] of the prior."""


class HierarchicalModel(LatentModel, Protocol):
    """A model with several stochastic layers."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Dimensions D_l of each stochastic layer, the top first."""


class CodeModel(Model, Protocol):
    """A model of discrete codes."""

    @property
    def quantizer(self) -> Quantizer:
        """(h, grid) -> q(codes | x)."""

    @property
    def prior(self) -> CodePrior:
        """() or c -> p(codes)."""

    def embed(self, codes: Array) -> Array:
        """The vectors z [*lead, D] of codes [*lead, *grid]."""


class CriticModel(Model, Protocol):
    """A model whose `critic` is not None, for `factor`."""

    def criticize(self, z: Array) -> Array:
        """The critic's logits [N, 2] for z [N, D]: from q(z), or the product of its marginals."""


class ClassifierModel(Model, Protocol):
    """A model whose `classifier` is not None, for `semi_supervised`."""

    def classify(self, x: Array, *, observed: Array | None = None) -> Array:
        """The logits of q(y | x), [N, num_classes], for x [N, *E]."""


class PropertyModel(Model, Protocol):
    """A model whose `regressor` is not None, for `property_elbo`."""

    def predict_property(self, z: Array) -> Array:
        """The property that the regressor predicts, [N], for z [N, D]."""
