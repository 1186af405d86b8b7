"""Convolutions against flax.linen: values, gradients, transformations, and lowered programs."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vae_jax.nets.convolution import Conv, ConvTranspose, conv, conv_transpose

KINDS = {
    "conv": (conv, Conv, nn.Conv),
    "conv_transpose": (conv_transpose, ConvTranspose, nn.ConvTranspose),
}
CASES = [  # kernel, stride, height and width, channels in and out, padding
    (3, 1, (7, 13), 3, 4, "SAME"),
    (3, 1, (28, 28), 1, 16, "VALID"),
    (4, 2, (64, 64), 1, 3, "SAME"),
    (4, 2, (7, 13), 16, 3, "SAME"),
    (4, 2, (13, 28), 3, 1, "VALID"),
    (3, 2, (28, 7), 3, 4, "SAME"),
    (1, 1, (7, 7), 16, 3, "SAME"),
    (1, 2, (7, 8), 3, 16, "SAME"),
    (5, 1, (13, 7), 3, 3, "SAME"),
    (5, 1, (7, 6), 16, 17, "SAME"),  # more taps x channels than one product takes
    (4, 1, (7, 6), 16, 17, "SAME"),  # another number of rows before the image than after it
    (6, 1, (2, 3), 16, 16, "SAME"),
    (2, 3, (7, 8), 2, 3, "VALID"),
    ((3, 5), 2, (9, 12), 2, 3, "SAME"),
]


@functools.cache
def example(kind, kernel, stride, size, cin, cout, padding, batch=4):
    """Our layer, flax's, its parameters and an image; the bias is random so that it is tested."""
    _, ours, theirs = KINDS[kind]
    pair = (kernel, kernel) if isinstance(kernel, int) else kernel
    ours = ours(cout, kernel, stride=stride, padding=padding, bias_init=nn.initializers.normal())
    theirs = theirs(
        cout, pair, strides=(stride, stride), padding=padding, bias_init=nn.initializers.normal()
    )
    x = jax.random.normal(jax.random.key(1), (batch, *size, cin))
    return ours, theirs, theirs.init(jax.random.key(0), x), x


def loss_of(layer):
    """A scalar whose cotangent differs from pixel to pixel."""

    def loss(params, x):
        y = layer.apply(params, x)
        weights = 1 + jnp.sin(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
        return jnp.sum(weights * y.astype(jnp.float32)) / x.shape[0]

    return loss


def assert_trees_close(actual, expected, tolerance=1e-5):
    """Largest error relative to the largest entry, leaf by leaf."""
    jax.tree.map(
        lambda a, e: np.testing.assert_allclose(
            a, e, rtol=0, atol=tolerance * (np.abs(e).max() + 1e-6)
        ),
        actual,
        expected,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_are_those_of_flax(kind, case):
    ours, theirs, params, x = example(kind, *case)

    @functools.partial(
        jax.jit, compiler_options={"xla_backend_optimization_level": 0}
    )  # half the time to compile
    def results(params, x):
        return [
            (layer.apply(params, x), jax.grad(loss_of(layer), (0, 1))(params, x))
            for layer in (ours, theirs)
        ]

    actual, expected = results(params, x)
    assert jax.tree.map(jnp.shape, actual) == jax.tree.map(jnp.shape, expected)
    assert_trees_close(actual, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_the_same_key_gives_the_parameters_of_flax(kind, use_bias):
    _, ours, theirs = KINDS[kind]
    x = jnp.ones((1, 8, 8, 3))
    names = (
        nn.Sequential([ours(4, (3, 2), use_bias=use_bias)]),
        nn.Sequential([theirs(4, (3, 2), use_bias=use_bias)]),
    )
    mine, flax = (model.init(jax.random.key(7), x) for model in names)
    assert jax.tree.structure(mine) == jax.tree.structure(flax)
    jax.tree.map(np.testing.assert_array_equal, mine, flax)


SMALL = (4, 2, (8, 6), 2, 3, "SAME")
WIDE = (4, 2, (8, 6), 4, 5, "SAME")  # a cell of 16 channels or more
STRIDE_1 = (3, 1, (6, 5), 2, 3, "SAME")


@pytest.mark.slow
@pytest.mark.parametrize("case", [WIDE, STRIDE_1], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_kernels_and_images(kind, case):
    ours, theirs, params, x = example(kind, *case)
    many = jax.tree.map(lambda p: jnp.stack([p, 2 * p, -p]), params)
    images = jnp.stack([x, x + 1, x - 1])
    gradients = [jax.grad(loss_of(layer), (0, 1)) for layer in (ours, theirs)]

    @jax.jit
    def results():
        kernels = [jax.vmap(gradient, (0, None))(many, x) for gradient in gradients]
        both = [jax.vmap(gradient)(many, images) for gradient in gradients]
        return list(zip(kernels, both, strict=True))

    assert_trees_close(*results())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_scan_checkpoint_and_no_jit(kind):
    ours, theirs, params, x = example(kind, *SMALL)

    def descend(layer):
        def step(params, x):
            value, gradient = jax.value_and_grad(jax.checkpoint(loss_of(layer)))(params, x)
            return jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient), value

        return jax.jit(lambda params: jax.lax.scan(step, params, jnp.stack([x, -x, 2 * x])))(params)

    assert_trees_close(descend(ours), descend(theirs))
    assert_trees_close(*(jax.grad(loss_of(layer))(params, x) for layer in (ours, theirs)))


@pytest.mark.parametrize("case", [WIDE, STRIDE_1], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_penalty_differentiates_twice(kind, case):
    ours, theirs, params, x = example(kind, *case)

    def penalty(layer):
        def score(params, x):
            return jnp.sum(jnp.tanh(layer.apply(params, x)))

        return jax.jit(
            jax.grad(lambda params, x: jnp.sum(jax.grad(score, 1)(params, x) ** 2), (0, 1))
        )(params, x)

    assert_trees_close(penalty(ours), penalty(theirs))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16(kind):
    ours, theirs, params, x = example(kind, *SMALL, batch=16)
    ours, theirs = ours.copy(dtype=jnp.bfloat16), theirs.copy(dtype=jnp.float32)
    assert ours.apply(params, x).dtype == jnp.bfloat16
    mine, exact = (jax.jit(jax.grad(loss_of(layer)))(params, x) for layer in (ours, theirs))
    assert jax.tree.map(jnp.result_type, mine) == jax.tree.map(jnp.result_type, params)
    assert_trees_close(mine, exact, tolerance=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_without_arrays(kind):
    ours, theirs, params, x = example(kind, *SMALL)
    assert jax.eval_shape(ours.apply, params, x) == jax.eval_shape(theirs.apply, params, x)


def convolutions(function, *arguments, platform):
    """The convolutions lowered for a platform; branches of other platforms are never lowered."""
    text = jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    return re.findall(r"stablehlo\.convolution.*", text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("platform", "case", "count", "dilated"),
    [
        ("cpu", WIDE, 2, False),  # the forward pass and the gradient in x; none for the kernel
        ("cpu", SMALL, 1, False),  # none to an image whose cells have few channels either
        ("cpu", STRIDE_1, 1, False),
        ("cuda", SMALL, 3, True),
        ("tpu", SMALL, 3, True),
    ],
)
def test_each_platform_is_given_its_own_form(kind, platform, case, count, dilated):
    ours, _, params, x = example(kind, *case)
    lines = convolutions(jax.value_and_grad(loss_of(ours), (0, 1)), params, x, platform=platform)
    assert len(lines) == count
    assert any("lhs_dilate = [2, 2]" in line for line in lines) == dilated


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="reads what XLA compiles for the CPU")
@pytest.mark.parametrize("case", [SMALL, STRIDE_1], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_on_the_cpu_the_weight_gradient_compiles_to_no_convolution(kind, case):
    *layers, params, x = example(kind, *case)
    ours, theirs = (
        jax.jit(jax.grad(loss_of(layer))).lower(params, x).compile().as_text() for layer in layers
    )
    assert "convolution(" in theirs  # or the search would prove nothing
    assert "convolution(" not in ours
    assert "conditional(" not in ours


@pytest.mark.parametrize(
    ("function", "shape", "options", "message"),
    [
        (conv, (1, 8, 8, 2), {"padding": "CIRCULAR"}, "padding = 'CIRCULAR'.*SAME"),
        (conv, (1, 8, 8, 2), {"stride": 0}, "stride = 0.*at least 1"),
        (conv_transpose, (1, 8, 8, 2), {"stride": -1}, "stride = -1.*at least 1"),
        (conv_transpose, (8, 8, 2), {}, r"x has shape \(8, 8, 2\).*rank 4"),
        (
            conv,
            (1, 2, 8, 2),
            {"padding": "VALID"},
            r"x has shape \(1, 2, 8, 2\).*at least \(3, 3\)",
        ),
    ],
)
def test_refusals_name_the_field_the_value_and_what_is_allowed(function, shape, options, message):
    with pytest.raises(ValueError, match=message):
        function(jnp.ones(shape), jnp.ones((3, 3, 2, 4)), **options)
