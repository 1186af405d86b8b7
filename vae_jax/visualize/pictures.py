"""What a model makes of x and z, as grids of examples."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.models.trained import TrainedModel
from vae_jax.priors import StandardNormal
from vae_jax.types import Array
from vae_jax.visualize.factors import match_factors
from vae_jax.visualize.grids import image_rows

TRAVERSAL_REACH = 2.5  # to each side: of z itself, or standard deviations of the codes
MAX_ROWS = 16


def reconstructions(
    model: TrainedModel, x: Array, corrupted: Array | None = None, *, y: Array | None = None
) -> Figure:
    """Test images above their reconstructions; in a denoising model also what its encoder saw."""
    seen = x if corrupted is None else corrupted
    rows = (
        {"data": x}
        | ({} if corrupted is None else {"corrupted": seen})
        | {"model": model.reconstruct(seen, y=y)}
    )
    return image_rows(rows, "Reconstructions of test examples, from the posterior mean")


def samples(
    model: TrainedModel,
    key: Array,
    side: int = 8,
    *,
    y: Array | None = None,
    temperature: float | None = None,
) -> Figure:
    """Means of p(x | z) at draws from the prior; of a model that is given classes, a row for each, else one for each of y.

    A `temperature` below 1 narrows the prior; TypeError where it has none.
    """
    cooler = "" if temperature is None else f" at temperature {temperature:g}"
    if y is None:
        images = model.sample(key, side * side, temperature=temperature)
        rows = {str(i): row for i, row in enumerate(images.reshape(side, side, *images.shape[1:]))}
        return image_rows(
            rows, f"Samples: mean of p(x | z) at z from the prior{cooler}", names=False
        )
    num_classes = getattr(model.model.conditioning, "num_classes", None) if y.ndim == 1 else None
    y = y[:side] if num_classes is None else jnp.arange(min(num_classes, MAX_ROWS))
    images = model.sample(
        key, len(y) * side, y=jnp.repeat(y, side, axis=0), temperature=temperature
    )
    names = (
        [f"y of example {i}" for i in range(len(y))]
        if num_classes is None
        else [f"class {i}" for i in range(len(y))]
    )
    rows = dict(zip(names, images.reshape(len(y), side, *images.shape[1:]), strict=True))
    return image_rows(
        rows, f"Samples: mean of p(x | z, y) at z from the prior{cooler}, a row for each y"
    )


def interpolations(
    model: TrainedModel,
    x: Array,
    num_pairs: int = 4,
    num_points: int = 10,
    *,
    y: Array | None = None,
) -> Figure:
    """Straight and spherical paths between the codes of pairs of test images; y [B] is that of the first of each."""
    num_pairs = min(num_pairs, len(x) // 2)
    start, end = x[:num_pairs], x[num_pairs : 2 * num_pairs]
    rows = {}
    y = None if y is None else y[:num_pairs]
    paths = {
        kind: model.interpolate(start, end, num_points, kind=kind, y=y)
        for kind in ("linear", "spherical")
    }
    for pair in range(num_pairs):
        for kind, path in paths.items():
            rows[f"{pair + 1} {kind}"] = path[:, pair]
    return image_rows(rows, "Interpolations between the codes of two test examples")


def traversals(
    model: TrainedModel,
    terms: Terms,
    num_points: int = 11,
    *,
    y: Array | None = None,
    factor_names: Sequence[str] = (),
) -> Figure:
    """One latent at a time moved over its range, ordered by its KL, from the code of the first test example.

    The range is the same for all, around 0, whatever the prior is; the title says where that isn't the standard normal.
    Without a finite KL (an autoencoder) the order and the range are those of the spread of the codes. Where the labels are
    factors, a latent that clearly follows one of them has its name.
    """
    spread = terms.code.std(0)
    has_kl = terms.kl is not None and bool(np.isfinite(terms.kl).all())
    weight, scale = (terms.kl.mean(0), np.ones_like(spread)) if has_kl else (spread, spread)
    offsets = jnp.linspace(-TRAVERSAL_REACH, TRAVERSAL_REACH, num_points)
    order = np.argsort(-weight)[:MAX_ROWS]
    names = match_factors(terms.code[:, order], terms.y, factor_names)
    rows = {}
    for d, name in zip(order, names, strict=True):
        center = 0.0 if has_kl else terms.code[:, d].mean()
        z = (
            jnp.tile(jnp.asarray(terms.code[0]), (num_points, 1))
            .at[:, d]
            .set(center + offsets * scale[d])
        )
        label = f"z{d}  KL {weight[d]:.2f}" if has_kl else f"z{d}  sd {weight[d]:.2f}"
        rows[f"{label}\nfollows {name}" if name else label] = model.picture(z, y=y)
    return image_rows(
        rows, f"Traversals from the first test example: each latent over {_range(model, has_kl)}"
    )


def _range(model: TrainedModel, has_kl: bool) -> str:
    """What the latents are moved over, in words."""
    if not has_kl:
        return f"±{TRAVERSAL_REACH} standard deviations of the codes"
    prior = getattr(model.model, "prior", None)
    if isinstance(prior, StandardNormal):
        return f"±{TRAVERSAL_REACH} prior standard deviations, KL in nats"
    name = "of a hierarchy, learned" if prior is None else type(prior).__name__
    return f"−{TRAVERSAL_REACH} .. {TRAVERSAL_REACH} in units of z,\nKL in nats; the prior ({name}) is not the standard normal"
