"""A model loaded from a run takes what the run took, and measures what its results measured."""

import jax
import numpy as np
import pytest

import vae_jax
from vae_jax.config import Config, Data
from vae_jax.errors import InputError
from vae_jax.experiment import train_and_evaluate

KEY = jax.random.key(0)


def images(num, seed):
    """Bars of any gray, uint8 [num, 8, 8], and their column by name."""
    rng = np.random.default_rng(seed)
    column = np.arange(num) % 4
    x = np.zeros((num, 8, 8), np.uint8)
    x[np.arange(num), :, column] = rng.integers(100, 256, (num, 8))
    return x, np.array(list("abcd"))[column]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "hierarchical", "vq", "m2"])
def test_a_run_and_its_model(kind, tmp_path):
    """Each kind trained on bytes, binarized dynamically; 20 s each on an idle machine."""
    (train_x, train_y), (test_x, test_y) = images(300, 0), images(80, 1)
    np.savez(
        tmp_path / "bars.npz",
        train_images=train_x,
        train_labels=train_y,
        test_images=test_x,
        test_labels=test_y,
    )
    path = str(tmp_path / "bars.npz")
    config = Config(data=Data(name="npz", path=path, binarization="dynamic"))
    if kind != "hierarchical":
        config.model.hidden = (16,)
    config.train.num_steps = config.train.eval_every = config.train.log_every = 100
    config.train.batch_size = 32
    is_conditional = kind in ("vae", "m2")
    if is_conditional:
        config.model.latent_dim = 2
        config.model.conditioning, config.model.num_classes = "label", 4
    if kind == "m2":
        config.objective.name, config.data.num_labels = "m2", 100
    elif kind == "vq":
        config.model.kind, config.objective.name = "vq", "vq"
        config.codes.num_codes, config.codes.code_dim, config.codes.grid = 8, 2, (3,)
        config.codes.prior = "uniform"
    elif kind == "hierarchical":
        config.model.kind = "hierarchical"
        config.hierarchy.latents, config.hierarchy.widths = (1, 2), (8, 8)
    results = train_and_evaluate(config, tmp_path / "run")

    model = vae_jax.load(tmp_path / "run")
    y = {"y": test_y} if is_conditional else {}
    elbo = np.asarray(model.elbo(KEY, test_x, **y))
    expected = results["test"]["elbo"]
    assert abs(elbo.mean() - expected) < 4 * results["test"]["elbo_stderr"] / np.sqrt(4)
    if kind != "vq":
        assert model.log_prob(KEY, test_x, num_samples=20, **y).mean() > elbo.mean() - 0.5
    noise = np.random.default_rng(2).integers(0, 256, test_x.shape).astype(np.uint8)
    assert (model.score(KEY, noise, **y) > model.score(KEY, test_x, **y)).mean() > 0.95
    with pytest.raises(InputError, match=r"values from 0 to 255, .* 0 to 1: divide by 255"):
        model.encode(test_x.astype(np.float32), **y)
    if is_conditional:
        with pytest.raises(InputError, match="y = 99: no such class; must be 0 to 3, a, b, c, d"):
            model.sample(KEY, 2, y=np.array([0, 99]))

    vae_jax.save(model, tmp_path / "saved")
    saved = vae_jax.load(tmp_path / "saved")
    assert repr(saved) == repr(model)
    np.testing.assert_array_equal(saved.elbo(KEY, test_x, **y), elbo)
