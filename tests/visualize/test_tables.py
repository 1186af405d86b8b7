"""Figures of tables: bins, shares beyond them, bars of categories, maps, and odd columns."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_hex

from vae_jax import VAE, likelihoods, nets, posteriors, priors, visualize
from vae_jax.data import from_arrays
from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.association import Associations
from vae_jax.evaluation.latent_effects import LatentEffects
from vae_jax.evaluation.table_columns import BOOLEAN, CATEGORY, COUNT, ORDINAL, NamedColumn
from vae_jax.models.trained import TrainedModel
from vae_jax.visualize.colors import RED
from vae_jax.visualize.tables import bins, comparison, heat_map, panels

RNG = np.random.default_rng(0)
CITY = NamedColumn("city", CATEGORY, ("Bern", "Rome", "Oslo"))


def shown_texts(axes):
    return [text.get_text() for text in axes.texts]


def title(figure):
    return " ".join(figure.texts[0].get_text().split())


def bar_heights(axes, group):
    """Heights of the bars of the group with this number."""
    return [bar.get_height() for bar in axes.containers[group]]


def test_bins_cover_the_data_and_integers_have_their_own():
    np.testing.assert_array_equal(bins.bin_edges(np.array([0, 1, 1, 3])), np.arange(5) - 0.5)
    wide = bins.bin_edges(np.arange(1000))  # each bin has the same number of integers
    assert len(set(np.diff(wide))) == 1
    assert np.diff(wide)[0] == int(np.diff(wide)[0])
    values = RNG.normal(size=500) * 1e-6
    edges = bins.bin_edges(values)
    assert (edges[0], edges[-1]) == (values.min(), values.max())
    assert len(edges) - 1 <= bins.MAX_BINS
    assert len(bins.bin_edges(values[:8])) < len(edges)  # fewer bins for few rows
    counts = bins.bin_edges(np.array([0.0, 40, 7]), form=COUNT)
    assert set(np.diff(counts)) == {7.0}
    assert counts[0] == -0.5


def test_a_long_tail_does_not_stretch_the_bins():
    values = np.append(RNG.normal(size=999), 1e12)
    edges = bins.bin_edges(values)
    assert 3 < edges[-1] < 12
    assert bins.count_values(values, edges).above == pytest.approx(0.001)


@pytest.mark.parametrize("value", [0.0, 0.3, -7.0, 1e12, 1e-9, 1e20, 3e38])
def test_constant_columns_have_bins(value):
    values = np.full(5, value)
    for edges in (bins.bin_edges(values), bins.bin_edges(values, form=COUNT)):
        assert (np.diff(edges) > 0).all()
        assert edges[0] <= value <= edges[-1]
        assert bins.count_values(values, edges).inside.sum() == 1
    others = value + np.array([-0.5, 0.5]) * max(abs(value), 1)
    near = bins.bin_edges(values, others, form=COUNT if value == 0 else "")
    assert near[-1] - near[0] >= 0.9 * max(abs(value), 1)  # samples are not all beyond


def test_values_beyond_the_bins_are_counted_beside_them():
    data = RNG.uniform(size=(400, 1))
    samples = np.concatenate([data[:200], data[:100] + 5, data[:60] - 5, np.full((40, 1), np.nan)])
    shares = bins.count_values(samples[:, 0], bins.bin_edges(data[:, 0]))
    np.testing.assert_allclose(shares.all[-3:], [0.15, 0.25, 0.1])
    assert shares.all.sum() == pytest.approx(1)
    figure = visualize.column_histograms(data, samples)
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert (low, high) == (data.min(), data.max())
    assert sorted(shown_texts(axes)) == ["10.0% not a value", "25.0% →", "← 15.0%"]
    assert {text.get_color() for text in axes.texts} == {RED}
    heights, _, _ = axes.patches[-1].get_data()  # of samples: nothing is piled into the outer bins
    assert heights.sum() == pytest.approx(0.5)
    infinite = np.array([np.inf, -np.inf, 0.5, 0.5])
    np.testing.assert_allclose(
        bins.count_values(infinite, np.array([0.0, 1])).all, [0.5, 0.25, 0.25, 0]
    )


def test_groups_are_told_apart_and_named():
    x = RNG.normal(size=(90, 2))
    figure = visualize.column_histograms(x, x, reconstructions=x)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:3] == ["data", "samples", "reconstructions"]
    assert "x from p(x | z), z from the prior" in title(figure)
    assert "x from p(x | z) at the center of q(z | x)" in title(figure)
    styles = {(to_hex(p.get_edgecolor()), p.get_linestyle()) for p in figure.axes[0].patches[1:]}
    assert len(styles) == 3
    alone = visualize.column_histograms(x, reconstructions=x)  # of a model without a prior
    assert "samples" not in title(alone)


def test_categories_have_bars_with_their_names():
    data = np.array([[0], [0], [1], [np.nan]])
    samples = np.array([[0], [0], [0], [1]])
    figure = visualize.column_histograms(data, samples, reconstructions=samples, columns=[CITY])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Bern", "Rome", "Oslo"]
    np.testing.assert_allclose(bar_heights(axes, 0), [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(bar_heights(axes, 1), [0.75, 0.25, 0])
    np.testing.assert_allclose(bar_heights(axes, 2), [1, 0, 0])  # of observed values only
    assert axes.get_title() == "city"
    yes = NamedColumn("smoker", BOOLEAN, ("no", "yes"))
    (axes,) = visualize.column_histograms(data, columns=[yes]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes"]


def test_rare_categories_share_a_bar():
    names = tuple(f"code {i}" for i in range(40))
    column = NamedColumn("code", CATEGORY, names)
    values = np.repeat(np.arange(40), np.arange(40) + 1).astype(float)
    found = bins.make_bars(column, [values])
    assert found.texts == (*names[29:], "other (29)")
    shares = found.measure(values)
    assert shares.inside.sum() == pytest.approx(1)
    assert shares.inside[-1] == pytest.approx(29 * 30 / 2 / len(values))
    np.testing.assert_array_equal(found.places(np.array([39, 3, 50])), [10, 11, -1])
    assert found.measure(np.array([39.0, 50])).neither == pytest.approx(0.5)
    assert bins.has_bars(column)
    assert not bins.has_bars(column._replace(form=ORDINAL))  # its order is worth more
    assert bins.make_bars(column, [np.zeros(0)]).texts[-1] == "other (29)"


def test_of_many_columns_those_that_differ_most_are_shown():
    x = RNG.normal(size=(50, 34))
    samples = x.copy()
    samples[:, 20:] += 3
    figure = visualize.column_histograms(x, samples)
    names = [axes.get_title() for axes in figure.axes]
    assert len(names) == panels.MAX_PANELS
    assert set(names) >= {f"column {i}" for i in range(20, 34)}
    assert names == sorted(names, key=lambda name: int(name.split()[1]))
    assert "the 30 of 34 columns that differ most" in title(figure)
    index, text = panels.select_panels(5_000, float, "that are last")
    assert len(index) == panels.MAX_PANELS
    assert text == "the 30 of 5,000 columns that are last, among 256 random ones"


def test_reconstructions_are_points_or_shares():
    data = np.array([[0.0, 0], [1, 0], [2, 1], [np.nan, 2]])
    again = np.array([[0.1, 0], [1, 1], [9, 1], [2, 2]])
    columns = (NamedColumn("age"), CITY)
    figure = visualize.column_reconstructions(data, again, columns=columns)
    points, shares = figure.axes
    np.testing.assert_allclose(points.lines[1].get_xydata(), [[0, 0.1], [1, 1]])
    assert shown_texts(points) == ["1 of 3 beyond"]
    cells = shares.images[0].get_array()
    np.testing.assert_allclose(cells, [[0.5, 0, 0], [0.5, 1, 0], [0, 0, 1]])
    half = visualize.column_reconstructions(
        np.array([[0.0], [1]]),
        np.array([[0.2], [0.7]]),  # probabilities
        columns=[NamedColumn("smoker", BOOLEAN, ("no", "yes"))],
    )
    np.testing.assert_allclose(half.axes[0].images[0].get_array(), np.eye(2))


def test_maps_of_associations_show_their_difference():
    data = np.array([[1, 0.5, np.nan], [0.5, 1, 0.2], [np.nan, 0.2, 1]])
    samples = np.array([[1, 0.1, 0], [0.1, 1, 0.2], [0, 0.2, 1]])
    columns = tuple(NamedColumn(name) for name in ("age", "a longer name of a column", "dose"))
    figure = visualize.associations(Associations(data, samples), columns, train=0.05)
    maps = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["data", "samples", "samples − data"]
    expected = np.where(np.isnan(data), 0, samples - data)
    np.testing.assert_allclose(maps[2].images[0].get_array().filled(0), expected)
    assert "over 2 pairs: 0.200 (independent columns 0.350, training rows 0.050)" in title(figure)
    assert "Gray: a column is constant" in title(figure)
    assert [label.get_text() for label in maps[0].get_yticklabels()][1] == "a longer name of a co…"
    assert not maps[1].get_yticklabels()
    whole = visualize.associations(Associations(samples, samples), columns)
    assert "training rows" not in title(whole)
    assert "Gray" not in title(whole)


@pytest.mark.parametrize(("num", "labels"), [(2, 2), (60, 60), (200, 60)])
def test_maps_of_few_and_of_many_columns(num, labels):
    matrix = np.corrcoef(RNG.normal(size=(num, 30)))
    noise = np.zeros((num, num))
    noise[-1] = noise[:, -1] = 0.5
    columns = tuple(NamedColumn(f"column {i}") for i in range(num))
    figure = visualize.associations(Associations(matrix, matrix + noise), columns)
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape == (labels, labels)
    if num > labels:
        assert f"the {labels} of {num} columns that differ most" in title(figure)
        more = visualize.associations(Associations(matrix, matrix), columns, num_columns=5_000)
        assert "the 60 of 5,000 columns that differ most, among 200 random ones" in title(more)
    pairs = num * (num - 1) // 2
    assert f"over {'1 pair' if num == 2 else f'{pairs:,} pairs'}: " in title(figure)
    ticks = axes.get_yticks()
    step = ticks[1] - ticks[0]
    points = axes.get_position().height * figure.get_figheight() * 72 / labels * step
    assert axes.get_yticklabels()[0].get_fontsize() <= points  # labels do not overlap


def test_labels_thin_out():
    assert heat_map.label_size(20) == (8, 1)
    assert heat_map.label_size(7)[1] == 1
    size, step = heat_map.label_size(2)
    assert size * 1.1 <= 2 * step


def test_the_map_of_latents_has_names_and_kl():
    change = np.array([[1.5, 0.2, np.nan], [-0.5, 0.9, np.nan]])
    effects = LatentEffects(np.array([3, 0]), change, np.array([False, True, False]))
    columns = (NamedColumn("age"), CITY, NamedColumn("constant"))
    figure = visualize.latent_columns(effects, columns, weights=[2.5, 0.3], note="2 of 4")
    numbers, _, categories, _ = figure.axes
    assert [label.get_text() for label in numbers.get_yticklabels()] == [
        "z3 KL 2.50",
        "z0 KL 0.30",
    ]
    assert [label.get_text() for label in numbers.get_xticklabels()] == ["age", "constant"]
    assert [label.get_text() for label in categories.get_xticklabels()] == ["city"]
    assert numbers.images[0].get_clim() == (-1.5, 1.5)
    assert categories.images[0].get_clim() == (0, 1)
    assert "1.5" in shown_texts(numbers)
    assert "2 of 4" in title(figure)
    empty = effects._replace(change=np.full((2, 3), np.nan))
    assert visualize.latent_columns(empty, columns, weights=[2.5, 0.3])


KINDS = ("gaussian*3", "categorical:4", "bernoulli", "counts", "gaussian")


def table(num):
    """A constant column, huge, tiny and negative values, a category that never occurs."""
    parts = (
        np.full(num, 3.0),
        1e12 * (1 + RNG.normal(size=num)),
        1e-9 * RNG.normal(size=num),
        RNG.integers(0, 3, num),
        np.zeros(num),
        RNG.poisson(1, num),
        -5 + RNG.normal(size=num),
    )
    return np.stack(parts, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    x = table(60)
    data = from_arrays({"train_images": x, "test_images": x[:20]}, name="odd")
    head = likelihoods.Mixed((7,), columns=KINDS)
    parts = (nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2))
    module = VAE(*parts, priors.StandardNormal(2), head)
    key = jax.random.key(0)
    model = TrainedModel(module, module.init(key, jnp.asarray(x[:1]), key), checks=False)
    return model, data


def plot(model, data, directory):
    evaluate = make_evaluator(model.model, batch_size=20)
    terms = evaluate(model.params, data.test, jax.random.key(0))
    return visualize.plot_all(model, data, terms, [], directory)


def test_tables_have_figures_of_columns_and_no_grid(fitted, tmp_path):
    paths = plot(*fitted, tmp_path)
    names = {"columns", "column_reconstructions", "associations", "latent_columns"}
    assert {path.stem for path in paths} >= names
    assert {path.stem for path in paths} <= names | {"latent_map"}
    arrays = np.load(tmp_path / "associations.npz")
    assert arrays["data"].shape == arrays["samples"].shape == (7, 7)
    arrays = np.load(tmp_path / "latent_columns.npz")
    assert arrays["change"].shape == (len(arrays["latents"]), 7)
    assert list(arrays["columns"]) == [f"column {i}" for i in range(7)]
    assert np.isnan(arrays["change"][:, 0]).all()  # constant


def test_associations_ignore_what_is_missing(fitted):
    model, data = fitted
    columns = comparison.table_columns(model, data)
    test = comparison.read_table(data.test, 100)
    observed = RNG.random(test.x.shape) < 0.8
    observed[:, 6] = False  # a column without any value
    masked = test._replace(observed=observed, x=np.where(observed, test.x, 0))
    samples = table(20)
    found = comparison.compare_associations(data, columns, masked, samples)
    assert np.isnan(found.maps.data[6]).all()
    assert np.isnan(found.maps.samples[6]).all()  # the samples have the same mask
    other = masked._replace(x=np.where(observed, test.x, 7))
    again = comparison.compare_associations(data, columns, other, samples)
    np.testing.assert_array_equal(found.maps.data, again.maps.data)
    figure = visualize.column_histograms(masked.values, samples, columns=columns)
    assert "no observed values" in shown_texts(figure.axes[6])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_row_or_two_have_figures_without_claims(fitted, rows):
    model, data = fitted
    columns = comparison.table_columns(model, data)
    test = comparison.read_table(data.test, 100).first(rows)
    samples = comparison.sample_rows(model, test)["draw"]
    found = comparison.compare_associations(data, columns, test, samples)
    assert np.isnan(found.maps.data).all()
    assert np.isnan(found.maps.difference)
    assert "difference" not in title(visualize.associations(found.maps, found.columns))
    visualize.column_histograms(test.values, samples, columns=columns)
    visualize.column_reconstructions(test.values, test.values, columns=columns)


def test_names_come_from_the_schema(fitted):
    model, data = fitted
    entries = [types.SimpleNamespace(name=f"name {i}", categories=()) for i in range(7)]
    named = types.SimpleNamespace(test=data.test, table=types.SimpleNamespace(columns=entries))
    columns = comparison.table_columns(model, named)
    assert [column.name for column in columns] == [entry.name for entry in entries]
    assert columns[3].categories == ("0", "1", "2", "3")
