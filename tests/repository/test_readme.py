"""What the README shows is run as it is written."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()


def python_blocks():
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_snippet_for_importers_runs():
    x = jax.random.bernoulli(jax.random.key(0), 0.2, (96, 28, 28, 1)).astype(jnp.float32)
    batches = [{"x": x[i : i + 32]} for i in range(0, 96, 32)] * 4
    names = {"x": x, "my_batches": batches, "my_penalty": lambda z: 0.1 * jnp.square(z).mean()}
    exec(python_blocks()[0], names)
    assert int(names["state"].step) == 12
    assert np.isfinite(names["metrics"]["elbo"])
    assert names["metrics"]["elbo"] > -784 * np.log(2)  # better than a fair coin for each pixel


def test_every_file_it_names_is_there():
    root = pathlib.Path(__file__).parents[2]
    named = set(re.findall(r"`((?:configs/|vae_jax/|colab/)?[\w/]+\.(?:py|ipynb|md))`", README))
    assert len(named) > 8
    missing = [
        n for n in named if not any((root / f / n).exists() for f in ("", "vae_jax", "configs"))
    ]
    assert not missing
