"""Flows: inverses, determinants against autodiff, densities against quadrature, gradients."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import integrate, optimize

from vae_jax import flows
from vae_jax.distributions import DiagGaussian, Flowed, FullGaussian
from vae_jax.errors import InputError
from vae_jax.flows.root import tanh_root

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile

B, D, M, C = 3, 4, 2, 5
forward = jit(lambda flow, z: flow.forward(z))
inverse = jit(lambda flow, y: flow.inverse(y))
orthonormal = jit(flows.orthonormal)
log_prob = jit(lambda p, z: p.log_prob(z))


def normal(shape, scale=1.0, seed=0):
    return jnp.float32(scale * np.random.default_rng([seed, *shape]).normal(size=shape))


class Holder(nn.Module):
    """A module that holds the parameters of one of the flows with networks."""

    kind: str
    dim: int = D

    @nn.compact
    def __call__(self, context=None):
        if self.kind == "coupling":
            return flows.coupling_flow(self, self.dim, 2, 5, context)
        return flows.autoregressive_flow(self, self.dim, 2, 5, context, inverted=self.kind == "maf")


def networked(kind, scale=0.7, context=None, dim=D):
    """Flows with random network parameters: `scale` 1 makes them far from the identity."""
    shapes = jax.eval_shape(Holder(kind, dim).init, jax.random.key(0), context)
    rng = np.random.default_rng(1)
    return Holder(kind, dim).apply(
        jax.tree.map(lambda leaf: jnp.float32(scale * rng.normal(size=leaf.shape)), shapes), context
    )


def planar(scale=2.0, batch=(), dim=D):
    return flows.Planar(
        *(normal((*batch, *s), scale, seed=k) for k, s in enumerate([(dim,), (dim,), ()]))
    )


def sylvester(scale=2.0, batch=(), dim=D, columns=M):
    q = orthonormal(normal((*batch, dim, columns)))
    r1, r2 = (
        flows.bounded_triangular(normal((*batch, columns, columns), scale, seed=k)) for k in (1, 2)
    )
    return flows.Sylvester(q, r1, r2, normal((*batch, columns), scale, seed=3))


FLOWS = {
    "planar, each example its own": lambda: planar(batch=(B,)),
    "sylvester, each example its own": lambda: sylvester(batch=(B,)),
    "sylvester, M = D": lambda: sylvester(columns=D),
    "coupling, given c": lambda: networked("coupling", context=normal((B, C))),
    "coupling, odd": lambda: networked("coupling", dim=3),
    "iaf": lambda: networked("iaf"),
    "iaf, given c": lambda: networked("iaf", context=normal((B, C))),
    "maf, given c": lambda: networked("maf", context=normal((B, C))),
    "chain": lambda: flows.Chain((planar(1.0), flows.Reversal(), flows.Inverse(sylvester(1.0)))),
}


def dim_of(name):
    return 3 if name == "coupling, odd" else D


@jit
def jacobian(flow, z):
    """d forward(z)[k, b] / d z[k, b] for each [k, b]; nothing of one example reaches another."""
    lead, dim = z.shape[:-1], z.shape[-1]
    whole = jax.jacfwd(lambda z: flow.forward(z)[0])(z).reshape(
        np.prod(lead), dim, np.prod(lead), dim
    )
    return jnp.moveaxis(jnp.diagonal(whole, axis1=0, axis2=2), -1, 0).reshape(
        *lead, dim, dim
    ), jnp.abs(whole).sum((1, 3))


@pytest.mark.parametrize("name", FLOWS)
def test_inverse_and_determinant(name):
    flow, z = FLOWS[name](), normal((2, B, dim_of(name)), 1.5)
    y, log_det = forward(flow, z)
    assert y.shape == z.shape
    assert log_det.shape == z.shape[:-1]
    back, log_det_back = inverse(flow, y)
    np.testing.assert_allclose(back, z, atol=2e-4)
    np.testing.assert_allclose(log_det_back, -log_det, atol=2e-3)

    matrices, mixed = jacobian(flow, z)
    assert np.all((mixed != 0) == np.eye(2 * B, dtype=bool))
    sign, exact = np.linalg.slogdet(np.float64(matrices))
    np.testing.assert_allclose(log_det, exact, atol=2e-4, rtol=1e-4)
    num_reversals = sum(isinstance(part, flows.Reversal) for part in getattr(flow, "flows", ()))
    assert np.all(sign == (-1) ** (num_reversals * (dim_of(name) // 2)))


@pytest.mark.parametrize(
    "name", ["planar, each example its own", "sylvester, each example its own", "iaf, given c"]
)
def test_values_broadcast_against_the_parameters_of_examples(name):
    flow = FLOWS[name]()
    z = normal((2, 1, D))
    y, log_det = forward(flow, z)  # each of two values through the flow of each example
    assert y.shape == (2, B, D)
    whole = forward(flow, jnp.broadcast_to(z, (2, B, D)))
    np.testing.assert_allclose(y, whole[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_det, whole[1], rtol=1e-5, atol=1e-6)
    for value, exact in zip(
        inverse(flow, z), inverse(flow, jnp.broadcast_to(z, (2, B, D))), strict=True
    ):
        assert value.shape == exact.shape
        np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-6)


# The scalar equation


def test_the_root_is_scipys():
    rng = np.random.default_rng(0)
    c = np.concatenate([rng.uniform(-0.99, 0, 40), rng.uniform(0, 100, 40), [-0.99, -0.99, 0, 1e4]])
    y = np.concatenate([rng.normal(size=80) * 10 ** rng.uniform(-3, 3, 80), [0, 1e-3, 2, 5]])
    exact = [
        optimize.brentq(
            lambda s, c=c, y=y: s + c * np.tanh(s) - y,
            y - abs(c) - 1e-9,
            y + abs(c) + 1e-9,
            xtol=1e-14,
        )
        for c, y in zip(c, y, strict=True)
    ]
    exact, t = np.array(exact), np.tanh(exact)
    error = np.abs(np.float64(jit(tanh_root)(jnp.float32(c), jnp.float32(y))) - exact)
    # Rounding, of the terms of the equation as far as it magnifies them, and of the result.
    condition = 1 / (1 + c * (1 - t**2))
    assert np.all(
        error <= 5e-7 * (condition * (np.abs(y) + np.abs(exact) + np.abs(c * t)) + np.abs(exact))
    )


def test_the_root_is_differentiable_twice():
    c, y = jnp.float32([-0.9, -0.3, 0.0, 2.0, 30.0]), jnp.float32([0.5, -1.0, 0.3, 2.5, -4.0])
    s = np.float64(tanh_root(c, y))
    t, exact_c = np.tanh(s), np.float64(c)
    slope = 1 + exact_c * (1 - t**2)
    derivative = jit(jax.vmap(jax.grad(tanh_root, (0, 1))))(c, y)
    np.testing.assert_allclose(derivative[1], 1 / slope, rtol=1e-4)
    np.testing.assert_allclose(derivative[0], -t / slope, rtol=1e-4)
    second = jit(jax.vmap(jax.grad(jax.grad(tanh_root, 1), 1)))(c, y)
    np.testing.assert_allclose(
        second, 2 * exact_c * t * (1 - t**2) / slope**3, rtol=1e-3, atol=1e-6
    )


# What keeps them invertible


@jit
@jax.grad
def gradient_of_inverse(flow, z):
    y, log_det = flow.inverse(z)
    return y.sum() + log_det.sum()


@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0])
def test_planar_and_sylvester_are_invertible_at_any_parameters(scale):
    u = normal((200, D), scale)
    w = jnp.concatenate(
        [normal((100, D), scale, seed=1), -u[100:199], jnp.zeros((1, D))]
    )  # half of them as bad as can be
    flow = flows.Planar(u, w, normal((200,), scale, seed=2))
    both = [flow, sylvester(scale, (200,))]
    for flow in both:
        z = normal((200, D), seed=3)
        _, log_det = forward(flow, z)
        assert np.all(np.isfinite(log_det))
        assert np.all(log_det >= M * np.log(0.0099))
        for leaf in jax.tree.leaves(gradient_of_inverse(flow, z)):
            assert np.all(np.isfinite(leaf))


def test_planar_at_u_zero_is_the_identity():
    flow = dataclasses.replace(planar(), u=jnp.zeros(D))
    y, log_det = forward(flow, normal((B, D)))
    np.testing.assert_allclose(y, normal((B, D)), atol=1e-6)
    np.testing.assert_allclose(log_det, 0, atol=1e-6)


def test_planar_is_the_published_formula():
    flow, z = planar(batch=(B,)), normal((B, D))
    u, w, b = (np.float64(leaf) for leaf in (flow.u, flow.w, flow.b))
    product = (u * w).sum(-1)
    bounded = np.logaddexp(0, product + np.log(np.expm1(0.99))) - 0.99
    u = u + ((bounded - product) / (w**2).sum(-1))[:, None] * w
    exact = z + u * np.tanh((w * z).sum(-1) + b)[:, None]
    np.testing.assert_allclose(forward(flow, z)[0], exact, rtol=1e-5, atol=1e-5)


def test_sylvester_is_the_published_formula():
    flow, z = sylvester(), np.float64(normal((D,)))
    q, r1, r2, b = (np.float64(leaf) for leaf in (flow.q, flow.r1, flow.r2, flow.b))
    np.testing.assert_allclose(
        forward(flow, jnp.float32(z))[0],
        z + q @ r1 @ np.tanh(r2 @ q.T @ z + b),
        rtol=1e-5,
        atol=1e-5,
    )
    assert r1[1, 0] == r2[1, 0] == 0


@pytest.mark.parametrize("columns", [1, 3, 6])
def test_columns_are_orthonormal(columns):
    vectors = normal((5, 6, columns), 3.0).at[0, :, 0].set(0.0)
    q = np.float64(orthonormal(vectors))
    np.testing.assert_allclose(
        np.swapaxes(q, 1, 2) @ q, np.broadcast_to(np.eye(columns), (5, columns, columns)), atol=2e-6
    )
    gradient = jit(jax.grad(lambda v: (flows.orthonormal(v)[..., 0] * vectors[..., -1]).sum()))(
        vectors
    )
    assert np.all(np.isfinite(gradient))


def test_householder_reaches_any_columns():
    """Reflections from Householder's QR reproduce the columns they came from, up to signs."""
    target = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 3)))[0]
    rest, vectors = target.copy(), np.zeros((5, 3))
    for k in range(3):
        x = np.where(np.arange(5) >= k, rest[:, k], 0)
        v = x.copy()
        v[k] += np.copysign(np.linalg.norm(x), x[k])
        rest -= 2 * np.outer(v, v @ rest) / (v @ v)
        vectors[:, k] = v
    q = np.float64(orthonormal(jnp.float32(vectors)))
    np.testing.assert_allclose(np.abs(np.sum(q * target, 0)), 1, atol=1e-5)


# Which output sees which input


@pytest.mark.parametrize("dim", [1, 4])
def test_an_autoregressive_output_sees_only_what_is_before_it(dim):
    network = flows.Conditioner(dim, 11, autoregressive=True)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(dim), jnp.zeros(C))
    params = jax.tree.map(lambda leaf: normal(leaf.shape), shapes)
    jacobians = jax.jacfwd(lambda z, c: jnp.stack(network.apply(params, z, c)), (0, 1))
    by_input, by_context = jit(jacobians)(normal((dim,)), normal((C,)))
    assert np.all((by_input != 0) == np.tril(np.ones((dim, dim)), -1).astype(bool))
    assert np.all(by_context != 0)


@pytest.mark.parametrize("kind", ["coupling", "iaf", "maf"])
def test_every_dimension_is_moved_and_sees_others(kind):
    """Reversals between the flows: without them half of z, or its first entry, would stay alone."""
    flow, z = networked(kind), normal((D,))
    y, jacobian = forward(flow, z)[0], jit(jax.jacfwd(lambda z: flow.forward(z)[0]))(z)
    assert np.abs(y[:, None] - z).min() > 1e-3  # none is a copy
    assert np.all((np.abs(jacobian) > 1e-5).sum(1) >= 2)  # and none depends on itself alone


def test_a_coupling_layer_needs_two_dimensions():
    with pytest.raises(InputError, match="latent_dim = 1: must be at least 2"):
        Holder("coupling", 1).init(jax.random.key(0))


@pytest.mark.parametrize("kind", ["coupling", "iaf"])
def test_flows_with_networks_start_near_the_identity(kind):
    module = Holder(kind)
    flow = jit(lambda key: module.apply(module.init(key)))(jax.random.key(0))
    z = normal((50, D))
    y, log_det = forward(flow, z)
    for part in flow.flows:
        z = z[..., ::-1] if isinstance(part, flows.Reversal) else z
    np.testing.assert_allclose(y, z, atol=0.1)
    assert not np.array_equal(y, z)
    np.testing.assert_allclose(log_det, 0, atol=0.2)


# As distributions


def flowed(name, batch=(B,)):
    base = DiagGaussian(
        normal((*batch, dim_of(name)), 0.5), normal((*batch, dim_of(name)), 0.3, seed=1)
    )
    return Flowed(base, FLOWS[name]())


@pytest.mark.parametrize(
    "name",
    ["sylvester, each example its own", "coupling, given c", "iaf, given c"],
)
def test_a_draw_has_the_density_of_its_value(name):
    @jit
    def draws(q):
        z, log_q = q.sample_and_log_prob(jax.random.key(0), (5,))
        return (
            z,
            log_q,
            q.log_prob(z),
            q.sample(jax.random.key(0), (5,)),
            q.center,
            q.flow.forward(q.base.mean)[0],
        )

    q = flowed(name)
    z, log_q, log_prob_of_z, again, center, pushed = draws(q)
    assert z.shape == (5, B, D)
    np.testing.assert_allclose(log_prob_of_z, log_q, atol=3e-3)
    np.testing.assert_array_equal(again, z)
    np.testing.assert_allclose(center, pushed, rtol=1e-5, atol=1e-6)
    assert (q.batch_shape, q.event_shape, q.event_ndims, q.has_mean) == ((B,), (D,), 1, False)
    with pytest.raises(TypeError, match="no mean"):
        _ = q.mean
    with pytest.raises(AssertionError):
        q.log_prob(z[..., :-1])


def test_a_flowed_distribution_passes_through_vmap_and_jit():
    q = jit(lambda q: q)(flowed("planar, each example its own"))
    z = normal((B, D))
    np.testing.assert_allclose(
        jit(jax.vmap(lambda q, z: q.log_prob(z)))(q, z), log_prob(q, z), rtol=1e-5
    )
    iaf = jit(lambda q: q)(flowed("iaf, given c"))
    assert jax.tree.structure(iaf) == jax.tree.structure(flowed("iaf, given c"))
    trials = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), iaf)
    np.testing.assert_allclose(
        jit(jax.vmap(lambda q: q.log_prob(z)))(trials)[1], log_prob(iaf, z), rtol=1e-4, atol=1e-4
    )


def test_a_stopped_density_has_the_gradient_of_the_path_alone():
    """Sticking the landing (Roeder et al., 2017, arXiv:1703.09194): frozen parameters in log q."""

    def draw(q):
        return q.sample(jax.random.key(1))

    @jit
    def gradients(q):
        stopped = jax.grad(lambda q: jax.lax.stop_gradient(q).log_prob(draw(q)).sum())(q)
        z, pull_back = jax.vjp(draw, q)
        by_parameters, by_value = jax.grad(lambda q, z: q.log_prob(z).sum(), (0, 1))(q, z)
        return stopped, pull_back(by_value)[0], by_parameters

    stopped, exact, by_parameters = map(
        jax.tree.leaves, gradients(flowed("planar, each example its own"))
    )
    for a, b in zip(stopped, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert all(np.any(leaf != 0) for leaf in by_parameters)


@pytest.mark.parametrize("kind", ["planar", "sylvester", "coupling", "maf"])
def test_a_density_in_the_plane_integrates_to_one(kind):
    flow = {"planar": lambda: planar(dim=2), "sylvester": lambda: sylvester(1.0, dim=2)}.get(
        kind, lambda: networked(kind, 0.5, dim=2)
    )()
    p = Flowed(DiagGaussian(jnp.float32([0.3, -0.2]), jnp.float32([0.4, -0.3])), flow)
    draws = np.float64(jit(lambda p: p.sample(jax.random.key(0), (4000,)))(p))
    axes = [
        np.linspace(column.min() - 3 * column.std(), column.max() + 3 * column.std(), 601)
        for column in draws.T
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    density = np.exp(np.float64(log_prob(p, jnp.float32(grid))))
    inner = integrate.trapezoid(density, axes[1], axis=1)
    assert integrate.trapezoid(inner, axes[0]) == pytest.approx(1, abs=2e-3)
    mean = integrate.trapezoid(
        integrate.trapezoid(density * grid[..., 0], axes[1], axis=1), axes[0]
    )
    assert mean == pytest.approx(draws[:, 0].mean(), abs=4 * draws[:, 0].std() / np.sqrt(4000))


@pytest.mark.parametrize(
    "name",
    [
        "planar, each example its own",
        "sylvester, each example its own",
        "coupling, given c",
        "iaf, given c",
    ],
)
def test_gradients_of_a_density_are_its_differences(name):
    """Through the inverse, in all parameters and the value, along random directions, in float64."""
    with jax.enable_x64(True):
        wide = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (flowed(name), normal((B, D)))
        )
        direction = jax.tree.map(
            lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape), wide
        )
        total = jit(jax.value_and_grad(lambda at: at[0].log_prob(at[1]).sum()))
        gradient = total(wide)[1]
        slope = sum(
            np.vdot(a, b)
            for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )
        step = 1e-6
        ahead, behind = (
            total(jax.tree.map(lambda a, b, s=s: a + s * b, wide, direction))[0]
            for s in (step, -step)
        )
        assert float(slope) == pytest.approx(float(ahead - behind) / (2 * step), rel=1e-5, abs=1e-5)


def test_an_affine_flow_of_a_gaussian_is_the_gaussian_with_that_covariance():
    """One autoregressive map with a linear network is z -> L z + m: a full Gaussian density."""
    scale, base = (
        np.float32([0.5, 2.0]),
        DiagGaussian(jnp.float32([0.3, -1.0]), jnp.float32([0.2, -0.4])),
    )
    network = flows.Conditioner(2, 1, depth=0, autoregressive=True, parent=None)
    raw = 2 * np.arctanh(np.log(scale) / 2)
    params = {
        "MaskedDense_0": {
            "kernel": jnp.float32([[9, 0.7, 9, 0], [9, 9, 9, 9]]),
            "bias": jnp.float32([0.1, -0.2, *raw]),
        }
    }
    p = Flowed(base, flows.AffineAutoregressive(params, None, network))
    matrix = jnp.float32([[scale[0], 0], [0.7, scale[1]]])
    exact = FullGaussian(matrix @ base.mean + jnp.float32([0.1, -0.2]), matrix * base.stddev)
    z = normal((5, 2))
    np.testing.assert_allclose(p.log_prob(z), exact.log_prob(z), rtol=1e-5, atol=1e-5)


def test_temperature_narrows_the_base():
    p = flowed("coupling, given c")
    np.testing.assert_allclose(p.with_temperature(0.3).base.stddev, 0.3 * p.base.stddev, rtol=1e-5)
    assert p.with_temperature(0.3).flow is p.flow
