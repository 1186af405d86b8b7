"""Variational autoencoders in JAX, one pure function at a time.

Importing this touches no device and brings in no TensorFlow. Submodules are imported on first use,
so that `python -m vae_jax.main --help` does not wait for JAX.
"""

import importlib
import os
from collections.abc import Mapping
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


def fit(
    x: Any,
    config: Any = "vae",
    overrides: Mapping[str, Any] | None = None,
    *,
    y: Any = None,
    valid: Any = None,
    seed: int | None = None,
    workdir: str | os.PathLike | None = None,
    verbose: bool = False,
) -> "TrainedModel":
    """Train a model on arrays, a data frame or texts, and return it as `vae_jax.load` does.

    The training is that of the command line: the same config, data and seed give the same bits.
    It is quiet, but warnings of the data and of the training are logged.

    >>> import jax, numpy as np, vae_jax
    >>> x = np.random.default_rng(0).normal(size=(64, 3))
    >>> fields = {"train.num_steps": 20, "train.batch_size": 16, "model.hidden": (8,)}
    >>> model = vae_jax.fit(x, "vae", fields, seed=1)
    >>> model.sample(jax.random.key(0), 5).shape
    (5, 3)

    Args:
      x: examples [N, *E]: images [N, H, W] or [N, H, W, C], uint8 or floats; rows [N, C]; a data
        frame with columns of any kind; or a list of texts. All of it is for training and
        validation: keep your own test set out of it.
      config: the name or the path of a config as of `--config`; NAME is NAME:npz for an array,
        NAME:table for a data frame, NAME:text for texts. Or a `vae_jax.config.Config`, of which
        the source of the data and the metrics are ignored. Or a model composed by hand, such as
        `VAE(...)`, whose result has no config.
      overrides: fields of the config by name, as `--config.train.num_steps=500` on the command
        line: ``{"train.num_steps": 500, "train.patience": 3}``. NaN are missing values with
        ``{"data.missing": True}``. Early stopping is `train.patience`, in validations of
        `train.eval_every` steps.
      y: labels [N] or [N, C]; with a data frame the name of its column of labels.
      valid: a share of x for validation, or examples in the form of x; with labels of an array, a
        pair of examples and labels. None: the share `data.valid_fraction` of the config.
      seed: of parameters, noise and order; None: `seed` of the config.
      workdir: folder of the run, with its checkpoints and curves, from which the same call
        resumes; None: a temporary folder, which is removed.
      verbose: show the messages and the progress of the command line.

    Raises:
      InputError: invalid examples, config or overrides; nothing was trained.
      RunDiverged: too many steps in a row, or the validation, are not finite.
    """
    from vae_jax.experiment import fit as module  # needs the config, Orbax and the builders

    options = {"y": y, "valid": valid, "seed": seed, "workdir": workdir, "verbose": verbose}
    return module.fit(x, config, overrides, **options)


def export(
    model: "TrainedModel | str | os.PathLike",
    folder: str | os.PathLike,
    *,
    batch_size: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write parameters as safetensors, and encoder and decoder as programs of `jax.export`.

    The programs run on CPU, CUDA and TPU without this package: see `docs/export.md`. The file
    `manifest.json` names what they take and return. Each is ``program.call(params, inputs) ->
    outputs`` with dictionaries of arrays:

        encoder  x [n, *E], observed [n, *E], y  ->  z [n, D], the center of q(z | x); z_stddev
        decoder  z [n, D], y                     ->  x [n, *E], the mean of p(x | z), or a mode if
                 it has none, such as the greedy text; p.* are the parameters of p(x | z)

    `observed` is for models of data with missing values, `y` for conditional models, and `z_stddev`
    is of Gaussian posteriors. x is float32 in the range that the model sees; `inputs` of the
    manifest has the scale of integers, and the columns or tokens.

    Args:
      model: a `TrainedModel`, or the workdir of a run.
      folder: is created.
      batch_size: n; None: any, or 32 for a program that needs a number, see the manifest.
      overwrite: replace a model exported there.

    Raises:
      InputError: the folder holds something, or a package of the extra 'export' is missing.
      UnsupportedError: the shape of x or y is unknown, as for parts of another library.
    """
    from vae_jax.models import exporting
    from vae_jax.models.trained import TrainedModel

    if not isinstance(model, TrainedModel):
        model = load(model)
    exporting.export(model, folder, batch_size=batch_size, overwrite=overwrite)


__all__ = [
    "VAE",
    "Outputs",
    "corruptions",
    "data",
    "distributions",
    "elbo",
    "evaluation",
    "export",
    "fit",
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
