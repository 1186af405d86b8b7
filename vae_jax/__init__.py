"""Variational autoencoders in JAX, one pure function at a time.

Importing this touches no device and brings in no TensorFlow. Submodules are imported on first use,
so that `python -m vae_jax.main --help` does not wait for JAX.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_jax import (
        corruptions,
        data,
        distributions,
        evaluation,
        likelihoods,
        nets,
        objectives,
        parallel,
        posteriors,
        priors,
        schedules,
        train,
    )
    from vae_jax.interpolation import interpolate
    from vae_jax.models import VAE
    from vae_jax.models.saving import save
    from vae_jax.models.trained import TrainedModel
    from vae_jax.objectives import elbo, make_loss_fn, reconstruction
    from vae_jax.types import Outputs

__version__ = "0.1.0"


def load(
    workdir: str | os.PathLike,
    *,
    trial: int | str | None = None,
    step: int | None = None,
    model: Any = None,
) -> "TrainedModel":
    """Load a trained model from its run directory, or from a folder written by `vae_jax.save`.

    For a run with the workdir "runs/vae"::

        model = vae_jax.load("runs/vae")
        images = model.sample(jax.random.key(0), 16)

    A model that was composed and saved by hand:

    >>> import tempfile, jax, jax.numpy as jnp, vae_jax
    >>> from vae_jax import VAE, likelihoods, nets, posteriors, priors
    >>> module = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
    ...              priors.StandardNormal(2), likelihoods.Bernoulli((3,)))
    >>> params = module.init(jax.random.key(0), jnp.zeros((1, 3)), jax.random.key(1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vae_jax.save(module, folder + "/model", params)
    ...     model = vae_jax.load(folder + "/model")
    >>> model.sample(jax.random.key(0), 16).shape
    (16, 3)

    `trial` and `step` belong to a run, see `vae_jax.experiment.load.load`. `model` is
    the module of a folder that was saved without it, see `vae_jax.models.saving.load`.

    Raises:
      InputError: the folder has no run and no saved model, or an argument belongs to the
        other kind.
    """
    from vae_jax.errors import InputError
    from vae_jax.models import saving

    if saving.is_saved(workdir):
        if trial is not None or step is not None:
            raise InputError(
                f"trial = {trial!r}, step = {step!r}: {os.fspath(workdir)} is no run, but a saved "
                "model; omit them"
            )
        return saving.load(workdir, model=model)
    if model is not None:
        raise InputError(
            f"model: {os.fspath(workdir)} contains no saved model; a run builds its model from its "
            "config, omit it"
        )
    from vae_jax.experiment.load import load as load_run  # needs the config, Orbax and the builders

    return load_run(workdir, trial=trial, step=step)


__all__ = [
    "VAE",
    "Outputs",
    "corruptions",
    "data",
    "distributions",
    "elbo",
    "evaluation",
    "interpolate",
    "likelihoods",
    "load",
    "make_loss_fn",
    "nets",
    "objectives",
    "parallel",
    "posteriors",
    "priors",
    "reconstruction",
    "save",
    "schedules",
    "train",
]
_SUBMODULES = ("errors", "flows", "interpolation", "models", "types")  # attributes too
_HOMES = {  # names of nested modules; the remaining names are submodules
    "VAE": "models",
    "Outputs": "types",
    "elbo": "objectives",
    "interpolate": "interpolation",
    "make_loss_fn": "objectives",
    "reconstruction": "objectives",
    "save": "models.saving",
}


def __getattr__(name: str) -> Any:
    if name not in __all__ and name not in _SUBMODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"{__name__}.{name}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
