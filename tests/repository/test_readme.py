"""README and CONTRIBUTING: the example runs as it is written, and every file they name exists."""

import pathlib
import re
import sys
import types

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


def test_the_snippet_of_own_parts_runs(tmp_path, monkeypatch):
    """The three signatures, a model of such parts, and its way through a folder."""
    [source] = [block for block in python_blocks() if "class Encoder" in block]
    module = types.ModuleType("own_parts")
    monkeypatch.setitem(sys.modules, "own_parts", module)
    monkeypatch.chdir(tmp_path)
    exec(source, module.__dict__)
    assert module.outputs.log_px_z.shape == (5, 16)
    assert module.loaded.model == module.model
    jax.tree.map(np.testing.assert_array_equal, module.loaded.params, module.params)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_it_names_is_there(document):
    paths = set(re.findall(r"`([\w/]+\.(?:py|ipynb|md|txt))`", (ROOT / document).read_text()))
    assert len(paths) > 8
    folders = [ROOT, ROOT / "vae_jax", ROOT / "configs"]
    missing = [path for path in paths if not any((folder / path).exists() for folder in folders)]
    assert not missing
