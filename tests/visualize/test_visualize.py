"""Figures: titles, chosen factors, projections, and the figures that a model supports."""

import re
import types

import numpy as np
import pytest

from vae_jax import priors, visualize


@pytest.mark.parametrize(
    ("model", "has_kl", "text"),
    [
        (
            types.SimpleNamespace(prior=priors.StandardNormal(2)),
            True,
            "±2.5 prior standard deviations",
        ),
        (
            types.SimpleNamespace(prior=priors.LearnedDiagonal(2)),
            True,
            "−2.5 .. 2.5 in units of z, .*LearnedDiagonal.* is not the",
        ),
        (
            types.SimpleNamespace(),
            True,
            "−2.5 .. 2.5 in units of z, .*hierarchy, learned.* is not the standard normal",
        ),
        (
            types.SimpleNamespace(prior=priors.StandardNormal(2)),
            False,
            "±2.5 standard deviations of the codes",
        ),
    ],
)
def test_traversals_say_what_they_go_over(model, has_kl, text):
    rng = np.random.default_rng(0)
    terms = types.SimpleNamespace(
        code=rng.normal(size=(9, 2)), kl=rng.random((9, 2)) if has_kl else None, y=None
    )
    figure = visualize.traversals(types.SimpleNamespace(model=model, picture=lambda z, y: z), terms)
    assert re.search(text, " ".join(figure.axes[0].get_title().split()))


def test_which_latent_follows_which_factor():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, [3, 40, 5, 1], (3000, 4))
    noise = rng.normal(size=(3000, 5))
    codes = np.stack(
        [
            factors[:, 1],
            -factors[:, 0] + 0.1 * noise[:, 0],
            noise[:, 1],
            factors[:, 0] + factors[:, 2] / 2,
            noise[:, 2],
        ],
        1,
    )
    names = ("shape", "angle", "size", "constant")
    assert visualize.match_factors(codes, factors, names) == ["angle", "shape", "", "", ""]
    assert visualize.match_factors(codes, factors)[:2] == ["factor 1", "factor 0"]
    assert (
        visualize.match_factors(codes, factors[:, 0])
        == visualize.match_factors(codes, None)
        == [""] * 5
    )
    assert visualize.match_factors(codes, factors.astype(float)) == [""] * 5


def test_the_principal_plane():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 4)) * [0.1, 3.0, 1.0, 0.2] + 5
    points, share = visualize.principal_plane(codes)
    variances = np.linalg.svd(codes - codes.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(share, variances[:2] / variances.sum())
    np.testing.assert_allclose(np.square(points).sum(0), variances[:2])
