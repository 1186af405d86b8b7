"""Sample quality, reconstruction and data augmentation."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import Source, SpriteSource
from vae_jax.evaluation import reconstruction as measures
from vae_jax.evaluation.augmentation import augmentation_gain
from vae_jax.evaluation.features import ConvFeatures, load_features, train_features
from vae_jax.evaluation.quality import sample_quality
from vae_jax.evaluation.scan import over_batches
from vae_jax.experiment import processes
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    name_estimate,
    subset,
    with_stderr,
)
from vae_jax.objectives.loss import given_y
from vae_jax.types import Array, Batch, Params

MAX_SPRITES = 20_000  # rendered at once to train features, 64x64 floats each


def reconstruction(context: Context, key: Array) -> Numbers:
    """MSE, PSNR and, for images, SSIM of reconstructions from the center of the posterior."""
    model, value_range = context.model, context.dataset.test.value_range

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        del key
        x, y = batch["x"], given_y(model, batch)
        z = model.apply(params, x, **y, method="encode").center
        decoded = model.apply(params, z, **y, method="decode").mean
        errors = {
            "mse": measures.mse(x, decoded),
            "psnr": measures.psnr(x, decoded, value_range=value_range),
        }
        if x.ndim == 4:
            errors["ssim"] = measures.ssim(x, decoded, value_range=value_range)
        return errors

    run = over_batches(
        one_batch, batch_size=context.config.evaluation.batch_size, mesh=context.mesh
    )
    errors = context.run(run, context.dataset.test, key)
    estimator = (
        "test examples against the mean of p(x | z) at the center of q(z | x): mean and standard "
        f"error over examples; psnr in dB for values from {value_range[0]:g} to {value_range[1]:g}"
    )
    if "ssim" in errors:
        size = measures.window_size(*context.dataset.shape[:2])
        estimator += f"; ssim with a Gaussian window of {size}x{size} pixels"
    numbers = {"estimator": estimator, "num_examples": len(errors["mse"])}
    for name, values in errors.items():
        numbers |= with_stderr(name, values)
    return numbers


def quality(context: Context, key: Array) -> Numbers:
    """Feature distances to test images, of samples and, as a floor, of training images."""
    c, keys = context.config.evaluation, jax.random.split(key, 4)
    features = _features(context)
    test = subset(context.dataset.test, c.num_generated)
    n = test.num_examples
    batch = as_batch(test, keys[0])
    real = np.asarray(batch["x"])
    image_sets = {"train": np.asarray(as_batch(subset(context.dataset.train, n), keys[1])["x"])}
    y = batch["y"] if context.is_conditional else None
    if y is not None:
        y = y[jax.random.permutation(keys[3], n)]
    image_sets |= generate_examples(context, n, keys[2], y)
    return {
        "estimator": f"features {features.name} (fingerprint {features.fingerprint}) of {n} test "
        "images and of as many draws of p(x), means of p(x | z) at the same z if any, and, for "
        "comparison, training images; kernel over 10 blocks with the standard error over blocks; "
        "the remaining numbers have no standard error and the same bias at equal numbers of "
        "images; 5 neighbors",
        "features": features.name,
        "num_examples": n,
        **{name: sample_quality(real, images, features) for name, images in image_sets.items()},
    }


def generate_examples(
    context: Context, num: int, key: Array, y: Array | None
) -> dict[str, np.ndarray]:
    """Generate `num` draws of x and, if any, the means of p(x | z) at the same z."""
    size = min(num, context.config.evaluation.batch_size)
    model, has_mean = context.model, context.terms.mse is not None

    @jax.jit
    def one_batch(params: Params, key: Array, y: Array | None) -> dict[str, Array]:
        key_z, key_x = jax.random.split(key)
        p = model.apply(params, key_z, size, y=y, method="generate")
        return {"draws": p.sample(key_x)} | ({"means": p.mean} if has_mean else {})

    batches = []
    for number in range(-(-num // size)):
        index = np.arange(number * size, (number + 1) * size) % num
        part = one_batch(
            context.params, jax.random.fold_in(key, number), None if y is None else y[index]
        )
        batches.append(jax.device_get(part))
    return {name: np.concatenate([batch[name] for batch in batches])[:num] for name in batches[0]}


def _features(context: Context) -> ConvFeatures:
    """Load the features of the config or of the workdir, or train them on the training images."""
    c = context.config.evaluation
    path = context.workdir / f"features-seed{c.seed}-steps{c.feature_steps}.npz"
    if c.features or path.is_file():
        return load_features(c.features or path)
    train = context.dataset.train
    limit = MAX_SPRITES if isinstance(train, SpriteSource) else train.num_examples
    features = train_features(
        *_labeled_images(subset(train, limit)),
        data=_features_name(context),
        seed=c.seed,
        num_steps=c.feature_steps,
    )
    if processes.is_first():
        features.save(path)
    return features


def _labeled_images(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Images as the model sees them, and labels, of the examples that have a label."""
    batch = as_batch(source, jax.random.key(0))
    x, y = np.asarray(batch["x"]), np.asarray(batch["y"])
    is_labeled = (y.reshape(len(y), -1) >= 0).all(axis=1)
    return (x, y) if is_labeled.all() else (x[is_labeled], y[is_labeled])


def _features_name(context: Context) -> str:
    data = context.config.data
    name = pathlib.Path(data.path).stem if data.name == "npz" else data.name
    name = re.sub(r"[^\w.-]+", "-", name)
    name = name if data.binarization == "none" else f"{name}-{data.binarization}"
    return f"{name}-{data.num_labels}-labels" if data.num_labels else name


def augmentation(context: Context, key: Array) -> Numbers:
    """Accuracy of a classifier of few labeled examples, with and without generated ones added."""
    c, keys = context.config.evaluation, jax.random.split(key, 3)
    train_size = context.dataset.train.num_examples
    train = as_batch(subset(context.dataset.train, train_size), keys[0])
    index = np.flatnonzero(np.asarray(train["y"]) >= 0)
    num_labeled = len(index)
    size = min(num_labeled, c.augmentation_examples)
    index = index[np.linspace(0, num_labeled - 1, size).astype(int)]
    real_x, real_y = np.asarray(train["x"])[index], np.asarray(train["y"])[index]
    classes = np.unique(real_y)
    y = classes[np.arange(len(real_y)) % len(classes)].astype(np.int32)
    images = generate_examples(context, len(y), keys[1], jnp.asarray(y))
    kind = "draws" if context.dataset.preparation["binary"] or "means" not in images else "means"
    test = as_batch(context.dataset.test, keys[2])
    gain = augmentation_gain(
        real_x,
        real_y,
        images[kind],
        y,
        np.asarray(test["x"]),
        np.asarray(test["y"]),
        num_updates=c.augmentation_updates,
    )
    numbers = {
        "estimator": "test accuracy of a classifier with one hidden layer after "
        f"{c.augmentation_updates} updates on {len(real_y)} labeled examples, and on these and as "
        f"many {kind} of p(x | y); means and standard errors over 5 seeds of the classifier, not "
        f"of the model, which was trained with the labels of {num_labeled} of {train_size} "
        "examples: if it saw more labels than the classifier, part of the gain is due to them",
        "num_real": len(real_y),
        "num_generated": len(y),
        "num_labeled_for_generator": num_labeled,
        "num_examples": len(test["y"]),
    }
    for name, estimate in gain._asdict().items():
        numbers |= name_estimate(name, estimate)
    return numbers
