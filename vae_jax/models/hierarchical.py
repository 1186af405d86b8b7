"""The hierarchical VAE: a ladder of stochastic layers, inferred from the top down."""

from collections.abc import Callable
from typing import Any, ClassVar

from flax import linen as nn

from vae_jax.errors import check_choice
from vae_jax.models.ladder_levels import Level
from vae_jax.models.ladder_path import MERGES, BottomUp, Merge, TopDown
from vae_jax.models.layered import Layered
from vae_jax.nets.residual import Style
from vae_jax.nets.units import Units
from vae_jax.types import Array


class Hierarchical(Layered):
    """p(x, z) = p(x | z) prod_l p(z_l | z_<l) with q(z | x) = prod_l q(z_l | z_<l, x), top down.

    Prior and posterior share the path from the top. A state takes in one z_l after the other, and
    each prior is a function of the state. Each posterior is a function of the state and of features
    of x at the same level, so that inference corrects the prior. In residual form it carries many
    layers (Child, 2021, arXiv:2011.10650).

    That idea is the ladder VAE's (Sonderby et al., 2016, arXiv:1602.02282), but its merge is not
    the default: with `merge` "learned", a network of state and features predicts the posterior.
    With "precision" it is theirs: features alone predict a Gaussian, which is multiplied by the
    prior, so that means are weighted by precisions; the top layer's is not multiplied.

    The KL of each layer given the draws above it is in closed form. y conditions everything,
    p(z | y) included.
    """

    levels: tuple[Level, ...]  # top first, see `vector_levels` and `map_levels`
    likelihood: nn.Module  # h -> p(x | z)
    blocks: int = 1  # residual blocks after each stochastic layer
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    remat: bool = False  # recompute residual blocks in the backward pass: less memory, more time
    merge: Merge = "learned"  # merge of features of x and the prior: learned, or precision-weighted
    conditioning: nn.Module | None = None  # y [B] or [B, C] -> c [B, C]
    classifier: nn.Module | None = None  # x [N, *E] -> h, for the semi-supervised M2
    units: Units | None = None  # scale of x; without units, networks see x unchanged
    mask_input: bool = False  # True if networks see the mask of observed values too
    posterior: ClassVar[None] = None  # inference and prior share parameters
    prior: ClassVar[None] = None
    critic: ClassVar[None] = None
    regressor: ClassVar[None] = None
    condition_prior: ClassVar[bool] = True

    @property
    def layers(self) -> tuple[int, ...]:
        """Dimensions D_l of each stochastic layer, the top first."""
        return tuple(level.latent_dim for level in self.levels for _ in range(level.layers))

    def setup(self) -> None:
        depth = len(self.layers) * self.blocks
        style = Style(self.activation, self.dtype, self.blocks, depth, self.remat)
        check_choice("merge", self.merge, MERGES)
        self.bottom_up = BottomUp(self.levels, style)
        self.top_down = TopDown(self.levels, style, self.merge)
