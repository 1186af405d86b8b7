"""What samples and reconstructions are like, and what samples are good for."""

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
from vae_jax.experiment.metrics.context import Context, Numbers, part_of, whole, with_stderr
from vae_jax.objectives.loss import given_y
from vae_jax.types import Array, Batch, Params

SPRITES_FOR_FEATURES = 20_000  # rendered at once, 64x64 floats each


def reconstruction(context: Context, key: Array) -> Numbers:
    """MSE, PSNR and, of images, SSIM of what is decoded from the center of the posterior."""
    model, value_range = context.model, context.dataset.test.value_range

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        del key
        x, y = batch["x"], given_y(model, batch)
        decoded = model.apply(
            params, model.apply(params, x, **y, method="encode").center, **y, method="decode"
        ).mean
        found = {
            "mse": measures.mse(x, decoded),
            "psnr": measures.psnr(x, decoded, value_range=value_range),
        }
        return found | (
            {"ssim": measures.ssim(x, decoded, value_range=value_range)} if x.ndim == 4 else {}
        )

    run = over_batches(
        one_batch, batch_size=context.config.evaluation.batch_size, mesh=context.mesh
    )
    found = context.run(run, context.dataset.test, key)
    numbers = [with_stderr(name, values) for name, values in found.items()]
    size = measures.window_size(*context.dataset.shape[:2]) if "ssim" in found else 0
    window = f"; ssim with a Gaussian window of {size}x{size} pixels" if size else ""
    return {
        "estimator": "test examples against the mean of p(x | z) at the center of q(z | x): mean and standard error over "
        f"examples; psnr in dB for values from {value_range[0]:g} to {value_range[1]:g}{window}",
        "num_examples": len(found["mse"]),
        **{name: value for pair in numbers for name, value in pair.items()},
    }


def quality(context: Context, key: Array) -> Numbers:
    """Distances between features of test images and of as many samples; and, as a floor, of training images."""
    c, keys = context.config.evaluation, jax.random.split(key, 4)
    features = _features(context)
    test = part_of(context.dataset.test, c.num_generated)
    batch = whole(test, keys[0])
    real, n = np.asarray(batch["x"]), test.num_examples
    sets = {"train": np.asarray(whole(part_of(context.dataset.train, n), keys[1])["x"])}
    y = batch["y"] if context.is_conditional else None
    if y is not None:
        y = y[jax.random.permutation(keys[3], n)]
    sets |= generate_examples(context, n, keys[2], y)
    return {
        "estimator": f"features {features.name} (fingerprint {features.fingerprint}) of {n} test images and of as many draws "
        "of p(x), of means of p(x | z) at the same z where there are any, and, for comparison, of training images; kernel over "
        "10 blocks with the standard error over these, the others without one and biased alike at equal numbers; 5 neighbors",
        "features": features.name,
        "num_examples": n,
        **{name: sample_quality(real, images, features) for name, images in sets.items()},
    }


def generate_examples(
    context: Context, num: int, key: Array, y: Array | None
) -> dict[str, np.ndarray]:
    """`num` draws of x, and the means of p(x | z) at the same z where there are means; batch by batch."""
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
    """Those that the config names, or those of the workdir, or those that a classifier of the training images learns."""
    c = context.config.evaluation
    kept = context.workdir / f"features-seed{c.seed}-steps{c.feature_steps}.npz"
    if c.features or kept.is_file():
        return load_features(c.features or kept)
    train = context.dataset.train
    source = part_of(
        train, SPRITES_FOR_FEATURES if isinstance(train, SpriteSource) else train.num_examples
    )
    features = train_features(
        *_images(source), data=_name(context), seed=c.seed, num_steps=c.feature_steps
    )
    if processes.is_first():
        features.save(kept)
    return features


def _images(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Images as a model sees them, and labels, of those that have one."""
    batch = whole(source, jax.random.key(0))
    x, y = np.asarray(batch["x"]), np.asarray(batch["y"])
    known = (y.reshape(len(y), -1) >= 0).all(axis=1)
    return (x, y) if known.all() else (x[known], y[known])


def _name(context: Context) -> str:
    data = context.config.data
    name = pathlib.Path(data.path).stem if data.name == "npz" else data.name
    name = re.sub(r"[^\w.-]+", "-", name)
    name = name if data.binarization == "none" else f"{name}-{data.binarization}"
    return f"{name}-{data.num_labels}-labels" if data.num_labels else name


def augmentation(context: Context, key: Array) -> Numbers:
    """The accuracy of a classifier of few labelled examples, with and without as many generated ones beside them."""
    c, keys = context.config.evaluation, jax.random.split(key, 3)
    train_size = context.dataset.train.num_examples
    train = whole(part_of(context.dataset.train, train_size), keys[0])
    known = np.flatnonzero(np.asarray(train["y"]) >= 0)
    num_seen = len(known)
    known = known[
        np.linspace(0, len(known) - 1, min(len(known), c.augmentation_examples)).astype(int)
    ]
    real_x, real_y = np.asarray(train["x"])[known], np.asarray(train["y"])[known]
    classes = np.unique(real_y)
    y = classes[np.arange(len(real_y)) % len(classes)].astype(np.int32)
    images = generate_examples(context, len(y), keys[1], jnp.asarray(y))
    kind = "draws" if context.dataset.preparation["binary"] or "means" not in images else "means"
    test = whole(context.dataset.test, keys[2])
    gain = augmentation_gain(
        *(real_x, real_y, images[kind], y, np.asarray(test["x"]), np.asarray(test["y"])),
        num_updates=c.augmentation_updates,
    )
    return {
        "estimator": f"test accuracy of a classifier with one hidden layer after {c.augmentation_updates} updates on "
        f"{len(real_y)} labelled examples, and on these and as many {kind} of p(x | y); means and standard errors over 5 seeds "
        f"of the classifier, not of the model, which was trained with the labels of {num_seen} of {train_size} examples: where "
        "these are more than the classifier has, part of the gain is that of their labels",
        "num_real": len(real_y),
        "num_generated": len(y),
        "num_labelled_for_generator": num_seen,
        "num_examples": len(test["y"]),
        **{name: estimate.value for name, estimate in gain._asdict().items()},
        **{f"{name}_stderr": estimate.stderr for name, estimate in gain._asdict().items()},
    }
