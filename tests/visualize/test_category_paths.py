"""Traversals of categorical latents go over categories, not over a range of numbers."""

import types

import numpy as np
import pytest

from vae_jax import visualize
from vae_jax.errors import InputError
from vae_jax.visualize.category_paths import CategoryPaths, has_categories
from vae_jax.visualize.latent_paths import make_paths

PROBABILITIES = np.array(  # two variables of three categories
    [[0.1, 0.7, 0.2, 0.5, 0.3, 0.2], [0.8, 0.1, 0.1, 0.1, 0.1, 0.8]], np.float32
)


def make_terms(code, kl, y=None):
    return types.SimpleNamespace(code=code, kl=np.asarray(kl, np.float32), y=y)


TERMS = make_terms(PROBABILITIES, [[0.2, 0.6], [0.2, 1.0]])


def test_one_category_changes_and_codes_stay_one_hot():
    paths = CategoryPaths.of(TERMS, 11)
    assert paths.order == paths.used == [1, 0]
    assert paths.points == ["0", "1", "2"]
    np.testing.assert_array_equal(
        paths.path(1), [[0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1]]
    )
    assert paths.label(1) == "z1 = 0  KL 0.80"
    np.testing.assert_array_equal(paths.values(PROBABILITIES, [1, 0]), [[0, 1], [2, 0]])


def test_of_many_categories_the_first_are_shown():
    paths = CategoryPaths.of(TERMS, 2)
    assert paths.path(0).tolist() == [[1, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0]]
    assert paths.describe_range(None).startswith("the first 2 of their 3 categories")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (TERMS, True),
        (make_terms(2 * PROBABILITIES, TERMS.kl), False),  # sums of 2
        (make_terms(PROBABILITIES[:, :5], TERMS.kl), False),
        (types.SimpleNamespace(code=PROBABILITIES, kl=None), False),
        (make_terms(PROBABILITIES, TERMS.kl * np.inf), False),
        (make_terms(np.ones((2, 1), np.float32), np.full((2, 1), 0.5)), False),  # one latent near 1
    ],
)
def test_codes_of_categories_are_recognized(terms, expected):
    assert has_categories(terms) == expected


def test_the_figure_names_categories_and_no_deviations():
    seen = []
    model = types.SimpleNamespace(
        model=types.SimpleNamespace(prior=None),
        image=lambda z, y: seen.append(np.asarray(z)) or np.asarray(z).reshape(-1, 2, 3, 1),
    )
    figure = visualize.traversals(model, TERMS)
    title = " ".join(figure.axes[0].get_title().split())
    assert "latents over their 3 categories" in title
    assert "deviations" not in title
    assert title.endswith("2 of 2 latents shown")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["z1 = 0  KL 0.80", "z0 = 1  KL 0.20", "0", "1", "2"]
    assert all(set(np.unique(z)) == {0, 1} for z in seen)


@pytest.mark.parametrize(
    "terms",
    [
        make_terms(PROBABILITIES[:, :5], TERMS.kl),  # no whole number of categories
        make_terms(2 * PROBABILITIES, TERMS.kl),
        make_terms(PROBABILITIES, TERMS.kl.sum(1)),  # one KL of all latents
    ],
)
def test_without_a_kl_of_single_latents_there_are_no_paths(terms):
    with pytest.raises(InputError, match=r"terms.kl.shape = \(2.*codes have the shape \(2, \d\)$"):
        make_paths(None, terms, 3)
