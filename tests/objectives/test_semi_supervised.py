"""M2 against an enumeration of the classes in plain numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Deterministic
from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE
from vae_jax.nets import MLP, Classifier, OneHot, Vector
from vae_jax.objectives import all_classes_pass, elbo, make_loss_fn, semi_supervised
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import StandardNormal

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
B, C, D, K = 5, 3, 2, 2
RNG = np.random.default_rng(0)
X = np.float32(RNG.normal(size=(B, 4)))
Y = np.array([2, -1, 0, -1, 1])
KEY = jax.random.key(4)
MODEL = VAE(
    MLP((6,)),
    MLP((6,)),
    DiagGaussianHead(D),
    StandardNormal(D),
    Gaussian((4,)),
    conditioning=OneHot(C),
    classifier=Classifier(MLP((8,)), C),
)


def initial():
    params = jit(MODEL.init)(jax.random.key(0), X, KEY)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(
        jax.random.key(1), len(leaves)
    )  # moved, so that no bias is zero and the classes differ
    return tree.unflatten(
        [
            leaf + 0.5 * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ]
    )


PARAMS = initial()


make_semi_supervised_loss_fn = functools.partial(
    make_loss_fn, objective=semi_supervised, forward=all_classes_pass
)


@functools.cache
def graded(alpha=3.0, labels=tuple(Y)):
    loss_fn = make_semi_supervised_loss_fn(MODEL, num_samples=K, alpha=alpha)
    batch = {"x": X, "y": jnp.array(labels)}
    return jit(jax.value_and_grad(loss_fn, has_aux=True))(PARAMS, batch, KEY, jnp.array(0))


@functools.cache
def elbos():
    """The bound of each class for each example [C, B], with the noise of the loss."""
    key_z, _ = jax.random.split(KEY)
    eps = np.float64(jax.random.normal(key_z, (K, C * B, D))).reshape(K, C, B, D)
    values = np.zeros((C, B))
    for c in range(C):
        y = jnp.full(B, c)
        q = MODEL.apply(PARAMS, X, y=y, method="encode")
        mean, logvar = np.float64(q.mean), np.float64(q.logvar)
        z = mean + np.exp(logvar / 2) * eps[:, c]
        p = MODEL.apply(PARAMS, jnp.float32(z), y=y, method="decode")
        log_px_z = -0.5 * ((X - np.float64(p.mean)) ** 2 + np.log(2 * np.pi)).sum(-1).mean(0)
        values[c] = log_px_z - 0.5 * (mean**2 + np.exp(logvar) - logvar - 1).sum(-1)
    return values


def log_q():
    logits = np.float64(MODEL.apply(PARAMS, X, method="classify"))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def by_enumeration(labels, alpha):
    total = 0.0
    for b, y in enumerate(labels):
        joint = elbos()[:, b] + np.log(1 / C)  # elbo + log p(y)
        q = np.exp(log_q()[b])
        if y >= 0:
            total += -joint[y] - alpha * log_q()[b, y]
        else:
            entropy = -sum(q[c] * log_q()[b, c] for c in range(C))
            total += -sum(q[c] * joint[c] for c in range(C)) - entropy
    return total / len(labels)


@pytest.mark.parametrize("labels", [tuple(Y), (-1,) * B, (0, 1, 2, 2, 1)])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_the_loss_by_enumeration(labels, alpha):
    (loss, metrics), _ = graded(alpha, labels)
    np.testing.assert_allclose(loss, by_enumeration(labels, alpha), rtol=1e-5)
    np.testing.assert_allclose(
        metrics["elbo"], -by_enumeration(labels, 0.0), rtol=1e-5
    )  # whatever alpha
    np.testing.assert_allclose(
        metrics["elbo"], -(metrics["distortion"] + metrics["rate"]), rtol=1e-5
    )
    known = np.array([y >= 0 for y in labels])
    assert metrics["labeled"] == pytest.approx(known.mean())
    right = log_q().argmax(1)[known] == np.array(labels)[known]
    np.testing.assert_allclose(
        metrics["accuracy"], right.mean() if known.any() else np.nan, rtol=1e-6
    )


def test_the_classes_differ():
    assert (
        np.ptp(elbos(), axis=0).min() > 0.1
    )  # or an estimate with the classes in another order would pass


def test_the_classifier_learns_from_both():
    weights = {}
    for labels, alpha in (
        (tuple(Y), 0.0),
        (tuple(Y), 3.0),
        ((0, 1, 2, 2, 1), 0.0),
        ((-1,) * B, 3.0),
    ):
        _, gradient = graded(alpha, labels)
        leaves = jax.tree.leaves(gradient["params"]["classifier"])
        weights[labels, alpha] = np.concatenate([np.ravel(leaf) for leaf in leaves])
    np.testing.assert_array_equal(
        weights[(0, 1, 2, 2, 1), 0.0], 0
    )  # labels known, and no weight on them
    assert np.abs(weights[(-1,) * B, 3.0]).max() > 1e-3  # from the bound itself
    assert np.abs(weights[tuple(Y), 3.0] - weights[tuple(Y), 0.0]).max() > 1e-3


def test_the_gradient_of_the_logits_by_hand():
    y = jnp.array(Y)
    key_z, _ = jax.random.split(KEY)
    tiled, classes = jnp.tile(X, (C, 1)), jnp.repeat(jnp.arange(C), B)
    terms = MODEL.apply(PARAMS, tiled, key_z, y=classes, num_samples=K)
    gradient = jax.grad(lambda logits: semi_supervised(terms, logits=logits, y=y, alpha=3.0)[0])(
        jnp.float32(log_q())
    )
    q = np.exp(log_q())
    for b, label in enumerate(Y):
        if label >= 0:
            expected = 3 * (q[b] - np.eye(C)[label])
        else:
            costs = -elbos()[:, b] + log_q()[b]
            expected = q[b] * (costs - q[b] @ costs)
        np.testing.assert_allclose(gradient[b], expected / B, rtol=1e-4, atol=1e-5)


def test_a_certain_classifier_makes_the_conditional_elbo():
    terms = MODEL.apply(PARAMS, jnp.tile(X, (C, 1)), KEY, y=jnp.repeat(jnp.arange(C), B))
    y = jnp.array([0, 1, 2, 1, 0])
    certain = 100.0 * jax.nn.one_hot(y, C)
    rows = np.arange(B) + B * np.asarray(y)
    own = terms.replace(log_px_z=terms.log_px_z[:, rows], kl=terms.kl[rows])
    expected = elbo(own)[0] + np.log(C)
    for labels in (y, jnp.full(B, -1)):
        loss, metrics = semi_supervised(terms, logits=certain, y=labels)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        np.testing.assert_allclose(metrics["label_rate"], np.log(C), rtol=1e-5)


def test_one_class_is_the_elbo():
    model = MODEL.clone(conditioning=OneHot(1), classifier=Classifier(MLP(()), 1))
    params = jit(model.init)(jax.random.key(0), X, KEY)
    batch = {"x": X, "y": jnp.array([0, -1, 0, -1, 0])}
    loss, metrics = jit(make_semi_supervised_loss_fn(model))(params, batch, KEY, 0)
    expected, plain = jit(make_loss_fn(model, elbo))(
        params, {"x": X, "y": jnp.zeros(B, jnp.int32)}, KEY, 0
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for name in ("elbo", "distortion", "rate"):
        np.testing.assert_allclose(metrics[name], plain[name], rtol=1e-5)


def test_traced_weight():
    def loss(alpha):
        loss_fn = make_semi_supervised_loss_fn(MODEL, num_samples=K, alpha=alpha)
        return loss_fn(PARAMS, {"x": X, "y": jnp.array(Y)}, KEY, 0)[0]

    losses = jit(jax.vmap(loss))(jnp.array([0.0, 3.0]))
    np.testing.assert_allclose(losses, [graded(0.0)[0][0], graded(3.0)[0][0]], rtol=1e-5)


def test_what_is_refused():
    for change in ({"classifier": None}, {"conditioning": None}, {"conditioning": Vector(3)}):
        with pytest.raises(ValueError, match="needs a model with a classifier"):
            make_semi_supervised_loss_fn(MODEL.clone(**change))
    terms = MODEL.apply(PARAMS, X, KEY, y=jnp.zeros(B, jnp.int32))
    with pytest.raises(ValueError, match="outputs of 5 rows and y of shape"):
        semi_supervised(terms, logits=jnp.zeros((B, C)), y=jnp.array(Y))
    with pytest.raises(ValueError, match="deterministic posterior has no density"):
        semi_supervised(
            terms.replace(posterior=Deterministic(jnp.zeros((B, D)))),
            logits=jnp.zeros((B, C)),
            y=jnp.array(Y),
        )
