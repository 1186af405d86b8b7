"""Sample quality, reconstruction and data augmentation."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.evaluation import reconstruction as measures
from vae_jax.evaluation.augmentation import augmentation_gain
from vae_jax.evaluation.progress import track
from vae_jax.evaluation.quality import feature_quality
from vae_jax.evaluation.scan import full_float32, over_batches
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    choose_examples,
    name_estimate,
    random_order,
    read_batches,
    with_stderr,
)
from vae_jax.experiment.metrics.feature_network import find_features, split_training
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given, given_y
from vae_jax.types import Array, Batch, Params


def reconstruction(context: Context, key: Array) -> Numbers:
    """MSE and, for images, PSNR and SSIM of reconstructions from the center of the posterior."""
    value_range = context.dataset.test.value_range
    batch_size = context.config.evaluation.batch_size
    run = _reconstruct(context.model, batch_size, value_range, context.mesh)
    errors = context.run(run, context.dataset.test, key)
    estimator = (
        "test examples against the mean of p(x | z) at the center of q(z | x): mean and standard "
        "error over examples"
    )
    if "ssim" in errors:
        size = measures.window_size(*context.dataset.shape[:2])
        low, high = value_range
        estimator += f"; psnr in dB for values from {low:g} to {high:g}"
        estimator += f"; ssim with a Gaussian window of {size}x{size} pixels"
    elif len(context.dataset.shape) == 1:
        estimator += "; of all columns together, see columns for the error of each in its unit"
    estimator += context.of_observed
    numbers = {"estimator": estimator, "num_examples": len(errors["mse"])}
    for name, values in errors.items():
        numbers |= with_stderr(name, values)
    return numbers


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _reconstruct(
    model: Model, batch_size: int, value_range: tuple[float, float], mesh: Mesh | None
) -> Any:
    """(params, source, key) -> errors [N] by name."""

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        del key
        x, observed = batch["x"], batch.get("observed")
        z = model.apply(params, x, **given(model, batch), method="encode").center
        decoded = model.apply(params, z, **given_y(model, batch), method="decode").mean
        errors = {"mse": measures.mse(x, decoded, observed)}
        has_psnr = x.ndim == 4 and value_range[0] < value_range[1]
        if has_psnr:
            errors["psnr"] = measures.to_psnr(errors["mse"], value_range)
        if has_psnr and observed is None:  # windows of pixels are not observed as a whole
            errors["ssim"] = measures.ssim(x, decoded, value_range=value_range)
        return errors

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="reconstruction")


def quality(context: Context, key: Array) -> Numbers:
    """Feature distances to test images, of samples and, as a floor, of training images."""
    c, keys = context.config.evaluation, jax.random.split(key, 4)
    train, test = context.dataset.train, context.dataset.test
    index = choose_examples(test, c.num_generated)
    n = len(index)
    floor, rest = split_training(train, n)
    features = find_features(context, rest)
    y = None
    if context.is_conditional:
        y = jnp.asarray(test.all_labels()[index])[jax.random.permutation(keys[3], n)]

    def rows(batches: Iterable[Mapping[str, Array]], name: str) -> np.ndarray:
        return np.concatenate([features(np.asarray(batch[name])) for batch in batches])

    read = functools.partial(read_batches, batch_size=c.batch_size)
    real = rows(read(test, index, keys[0]), "x")
    sets = {"train": rows(read(train, floor, keys[1]), "x")}
    parts: dict[str, list[np.ndarray]] = {}
    for batch in _generate(context, n, keys[2], y):
        for name, images in batch.items():
            parts.setdefault(name, []).append(features(images))
    sets |= {name: np.concatenate(values) for name, values in parts.items()}
    note = "" if c.features else ", which the feature network has not seen"
    numbers = {
        name: feature_quality(real, values, features.name)
        for name, values in zip(sets, track(list(sets.values()), "quality", "sets"), strict=True)
    }
    return {
        "estimator": f"features {features.name} (fingerprint {features.fingerprint}) of {n} test "
        "images and of the same number of draws of p(x), of means of p(x | z) at the same z if "
        f"any, and, for comparison, {len(floor)} training images{note}; kernel over 10 blocks with "
        "the standard error over blocks; the remaining numbers have no standard error and the same "
        "bias at equal numbers of images; 5 neighbors",
        "features": features.name,
        "num_examples": n,
        "num_train": len(floor),
        **numbers,
    }


def generate_examples(
    context: Context, num: int, key: Array, y: Array | None, *, greedy: bool = False
) -> dict[str, np.ndarray]:
    """Generate `num` draws of x and, if any, the means of p(x | z) at the same z.

    Likewise the centers of p(x | z), which are the greedy sequences of tokens, as "greedy".
    """
    batches = list(_generate(context, num, key, y, greedy=greedy))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _generate(
    context: Context, num: int, key: Array, y: Array | None, *, greedy: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what `generate_examples` returns in batches."""
    size = min(num, context.config.evaluation.batch_size)
    one_batch = _generator(context.model, size, context.terms.mse is not None, greedy)
    for number in track(range(-(-num // size)), "samples"):
        index = np.arange(number * size, (number + 1) * size) % num
        part = one_batch(
            context.params, jax.random.fold_in(key, number), None if y is None else y[index]
        )
        used = num - number * size
        yield {name: images[:used] for name, images in jax.device_get(part).items()}


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _generator(model: Model, size: int, has_mean: bool, greedy: bool) -> Any:
    @jax.jit
    @full_float32
    def one_batch(params: Params, key: Array, y: Array | None) -> dict[str, Array]:
        key_z, key_x = jax.random.split(key)
        p = model.apply(params, key_z, size, y=y, method="generate")
        images = {"draws": p.sample(key_x)}
        if has_mean:
            images["means"] = p.mean
        if greedy:
            images["greedy"] = p.center
        return images

    return one_batch


def augmentation(context: Context, key: Array) -> Numbers:
    """Accuracy of a classifier of few labeled examples, with and without generated examples."""
    c, keys = context.config.evaluation, jax.random.split(key, 3)
    train, train_size = context.dataset.train, context.dataset.train.num_examples
    labeled = np.flatnonzero(train.all_labels() >= 0)
    num_labeled = len(labeled)
    choice = random_order(num_labeled)[: c.augmentation_examples]
    batches = list(read_batches(train, labeled[np.sort(choice)], keys[0], batch_size=c.batch_size))
    real_x, real_y = (
        np.concatenate([np.asarray(batch[name]) for batch in batches]) for name in ("x", "y")
    )
    classes = np.unique(real_y)
    y = classes[np.arange(len(real_y)) % len(classes)].astype(np.int32)
    images = generate_examples(context, len(y), keys[1], jnp.asarray(y))
    kind = "draws" if context.dataset.preparation["binary"] or "means" not in images else "means"
    test = np.flatnonzero(context.dataset.test.all_labels() >= 0)
    test_batches = read_batches(context.dataset.test, test, keys[2], batch_size=c.batch_size)
    gain = augmentation_gain(
        real_x,
        real_y,
        images[kind],
        y,
        ((np.asarray(batch["x"]), np.asarray(batch["y"])) for batch in test_batches),
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
        "num_examples": len(test),
    }
    for name, estimate in gain._asdict().items():
        numbers |= name_estimate(name, estimate)
    return numbers
