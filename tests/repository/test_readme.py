"""README and CONTRIBUTING: the example runs as it is written, and every file they name exists."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


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


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_it_names_is_there(document):
    paths = set(re.findall(r"`([\w/]+\.(?:py|ipynb|md|txt))`", (ROOT / document).read_text()))
    assert len(paths) > 8
    folders = [ROOT, ROOT / "vae_jax", ROOT / "configs"]
    missing = [path for path in paths if not any((folder / path).exists() for folder in folders)]
    assert not missing
