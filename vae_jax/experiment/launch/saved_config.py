"""A config file for `--mode=eval`: the saved config of the workdir that is its argument."""

from vae_jax.config import Config
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import as_path


def get_config(workdir: str) -> Config:
    """Return the config with which the run in the workdir was trained."""
    return read_config(as_path(workdir))
