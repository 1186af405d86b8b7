"""The feature function: it learns, depends on its seed only, survives its file, and has a name."""

import dataclasses
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from vae_jax.data import ArraySource, SpriteSource
from vae_jax.errors import InputError
from vae_jax.evaluation import features as features_lib
from vae_jax.evaluation.classifier import Classifier, classification_loss
from vae_jax.evaluation.features import (
    features_name,
    load_features,
    train_features,
    train_features_on,
)


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    return (bunch.images / 16).astype(np.float32), bunch.target


@pytest.fixture(scope="module")
def trained(digits):
    images, classes = digits
    return train_features(images[:1200], classes[:1200], data="digits", num_steps=150)


@pytest.fixture(scope="module")
def tiny():
    """Images of 6x5 and two factors: the row and the column of a dot."""
    place = np.random.default_rng(0).integers(30, size=400)
    images = np.eye(30, dtype=np.uint8)[place].reshape(400, 6, 5) * 255
    return images, np.stack(np.divmod(place, 5), axis=1)


def train_tiny(tiny, **options):
    return train_features(
        *tiny, **({"data": "dots", "num_steps": 20, "num_features": 16} | options)
    )


def test_it_learns_to_tell_the_digits(trained, digits):
    images, classes = digits
    assert np.mean(trained.classify(images[1200:]) == classes[1200:]) > 0.85
    assert re.fullmatch("conv8-digits-n1200-steps150-seed0-[0-9a-f]{6}", trained.name)


def test_features_are_the_rectified_layer_below_the_logits_at_unit_scale(trained, digits):
    images, _ = digits
    features = trained(images[:1200])
    assert features.shape == (1200, 128)
    assert features.min() == 0
    assert np.mean(features**2) == pytest.approx(1, rel=1e-5)
    head = trained.params["params"]["head"]
    logits = trained.scale * features @ head["kernel"] + head["bias"]
    np.testing.assert_array_equal(logits.argmax(1), trained.classify(images[:1200]))


def test_features_do_not_depend_on_the_other_images(trained, digits):
    images, _ = digits
    np.testing.assert_allclose(
        trained(images[:300])[290:], trained(images[290:300]), rtol=1e-5, atol=1e-6
    )
    assert features_lib.BATCH == 256


@pytest.mark.slow
def test_a_class_of_each_factor(tiny):
    images, factors = tiny
    features = train_tiny(tiny, num_steps=400, num_features=64)
    assert features.classify(images).shape == (400, 2)
    assert np.mean(features.classify(images) == factors) > 0.95
    assert features.name.startswith("conv6x5-dots-n400-steps400-seed0-")
    np.testing.assert_allclose(
        features(images), features(images / np.float32(255)), rtol=1e-5, atol=1e-6
    )  # bytes are scaled


@pytest.mark.slow
def test_the_loss_is_the_sum_of_cross_entropies():
    model = Classifier((3, 2), (4, 4, 1), 8)
    x, y = (
        jax.random.normal(jax.random.key(0), (5, 4, 4, 1)),
        jnp.array([[0, 1], [2, 0], [1, 1], [1, 0], [0, 0]]),
    )
    params = model.init(jax.random.key(1), x)
    loss, _ = classification_loss(model)(params, {"x": x, "y": y}, jax.random.key(2), 0)
    p = np.exp(np.asarray(model.apply(params, x), np.float64))
    first, second = (
        p[:, :3] / p[:, :3].sum(1, keepdims=True),
        p[:, 3:] / p[:, 3:].sum(1, keepdims=True),
    )
    expected = -np.mean(
        [np.log(first[i, a] * second[i, b]) for i, (a, b) in enumerate(np.asarray(y))]
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "grid"), [(28, 7), (64, 4), (8, 4), (7, 7), (20, 5), (32, 4), (224, 7)]
)
def test_images_are_halved_to_seven_or_below(size, grid):
    params = jax.eval_shape(
        Classifier((10,), (size, size, 1)).init, jax.random.key(0), jnp.zeros((1, size, size, 1))
    )
    flat = params["params"]["features"]["Dense_0"]["kernel"].shape[0]
    assert flat % grid**2 == 0
    assert flat // grid**2 in (1, 32, 64)


@pytest.mark.slow
def test_the_seed_decides_all_of_it(tiny):
    first, again, other = (train_tiny(tiny, seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert other.name.startswith("conv6x5-dots-n400-steps20-seed1-")
    assert dataclasses.replace(first, scale=2 * first.scale).fingerprint != first.fingerprint


def test_the_name_holds_all_that_made_it(tiny):
    images, factors = tiny
    source = ArraySource(jnp.asarray(images), jnp.asarray(factors), 1 / 255)
    other = images.copy()
    other[3, 2, 1] ^= 1
    variants = [
        (source, {}),
        (dataclasses.replace(source, images=jnp.asarray(other)), {}),
        (dataclasses.replace(source, labels=jnp.asarray(factors[::-1])), {}),
        (dataclasses.replace(source, scale=1.0), {}),
        (source, {"batch_size": 64}),
        (source, {"learning_rate": 1e-3}),
        (source, {"width": 64}),
        (source, {"seed": 1}),
        (source, {"num_steps": 20}),
        (SpriteSource(0, 400), {}),
        (SpriteSource(400, 400), {}),
    ]
    names = [features_name(some, data="dots", **options) for some, options in variants]
    assert len(set(names)) == len(variants)
    assert names[0] == features_name(source, data="dots")


def test_a_source_gives_the_features_of_its_arrays(tiny):
    images, factors = tiny
    source = ArraySource(jnp.asarray(images[..., None]), jnp.asarray(factors), 1 / 255)
    features = train_tiny(tiny)
    again = train_features_on(source, (6, 5), data="dots", num_steps=20, num_features=16)
    assert (again.name, again.fingerprint) == (features.name, features.fingerprint)


def test_it_comes_back_from_its_file(tiny, tmp_path):
    features, path = train_tiny(tiny), tmp_path / "features.npz"
    features.save(path)
    assert os.listdir(tmp_path) == ["features.npz"]  # nothing half-written is left beside it
    again = load_features(path)
    assert (again.name, again.model, again.fingerprint) == (
        features.name,
        features.model,
        features.fingerprint,
    )
    np.testing.assert_array_equal(again(tiny[0]), features(tiny[0]))


def test_files_that_hold_something_else_are_refused(tiny, tmp_path):
    features, path = train_tiny(tiny), tmp_path / "features.npz"
    features.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no archive"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="holds no feature function"):
            load_features(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(InputError, match="holds no feature function"):
        load_features(path)
    with pytest.raises(InputError, match="holds no feature function"):
        load_features(tmp_path / "missing.npz")
    with pytest.raises(InputError, match="cannot be written"):
        features.save(tmp_path / "no folder" / "features.npz")


def test_bad_input(tiny):
    images, factors = tiny
    with pytest.raises(InputError, match=r"images: has shape \(400,\); must be \[N, H, W\]"):
        train_features(images[:, 0, 0], factors, data="dots")
    with pytest.raises(
        InputError, match="images: of type float64; must be bytes, or floats that are all finite"
    ):
        train_features(images * np.nan, factors, data="dots")
    with pytest.raises(
        InputError, match=r"labels: of shape \(399, 2\) and type int64; must be \[400\]"
    ):
        train_features(images, factors[1:], data="dots")
    with pytest.raises(InputError, match=r"labels: of shape .* and type float64"):
        train_features(images, factors + 0.5, data="dots")
    with pytest.raises(InputError, match="data = 'a b': must be letters"):
        train_features(images, factors, data="a b")
    with pytest.raises(InputError, match="num_steps = 0: must be at least 1"):
        train_features(images, factors, data="dots", num_steps=0)
    with pytest.raises(
        InputError,
        match=r"images: has shape \(400, 5, 5, 1\); conv6x5-dots-n400-\S+ takes \[N, 6, 5, 1\]",
    ):
        train_tiny(tiny)(images[:, :5])
