"""Grids: pixels against the data, rows of traversals by effect, columns of tables, and arrays."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from vae_jax import VAE, likelihoods, nets, posteriors, priors, visualize
from vae_jax.data import from_arrays
from vae_jax.evaluation import make_evaluator
from vae_jax.models.trained import TrainedModel
from vae_jax.visualize import (
    code_map,
    image_grids,
    model_arrays,
    path_grids,
    pixels,
    projections,
)
from vae_jax.visualize.grids import GAP, WIDE_GAP, Groups

RNG = np.random.default_rng(0)


def canvas(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def tile(picture, row, column, size):
    """The pixels of one image, each from the square that stands for it."""
    factor = max(1, round(pixels.TILE / size))
    top, left = (GAP + i * (factor * size + GAP) for i in (row, column))
    return picture[top : top + factor * size : factor, left : left + factor * size : factor]


@pytest.mark.parametrize(
    ("low", "high", "value_range"),
    [(0.0, 1.0, (0.0, 1.0)), (-1.0, 1.0, (-1.0, 1.0)), (0.0, 255.0, (0.0, 255.0))],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_the_data_on_the_scale_of_its_range(low, high, value_range, channels):
    dark = RNG.uniform(low, low + 0.1 * (high - low), (2, 8, 8, channels))
    full = RNG.uniform(low, high, (2, 8, 8, channels))
    full[0, 0, 0], full[1, 0, 0] = low, high
    # A dark first row says nothing about the range of the others.
    for given in (value_range, None):
        picture = canvas(visualize.image_rows({"a": dark, "b": full}, "t", value_range=given))
        for row, images in enumerate((dark, full)):
            for column, image in enumerate(images):
                expected = np.round((image - low) / (high - low) * 255)
                got = tile(picture, row, column, 8).astype(float)
                np.testing.assert_allclose(got, np.broadcast_to(expected, got.shape), atol=1)
    assert len(np.unique(tile(picture, 1, 0, 8))) > 40  # nothing is clipped


def test_constant_images_keep_their_value():
    for value, byte in ((0.0, 0), (0.25, 64), (1.0, 255)):
        picture = canvas(visualize.image_rows({"a": np.full((1, 8, 8, 1), value)}, "t"))
        assert set(tile(picture, 0, 0, 8).ravel()) == {byte}
    figure = visualize.image_rows({"a": np.full((1, 8, 8, 1), 7.0)}, "t")
    assert set(tile(canvas(figure), 0, 0, 8).ravel()) == {128}  # a range of one number
    assert pixels.find_range([np.array([np.nan, 3.0, 9.0])]) == (3.0, 9.0)
    assert pixels.to_bytes(np.array([-9.0, np.nan, 9.0]), (0, 1)).tolist() == [0, 0, 255]


def test_a_figure_has_the_pixels_of_the_grid():
    """A saved PNG shows every pixel of an image as a square of whole pixels."""
    image = RNG.integers(0, 256, (1, 8, 8, 3)) / 255
    figure = visualize.image_rows({"row": image}, "a title that is longer than the picture " * 3)
    figure = FigureCanvasAgg(figure).figure
    figure.canvas.draw()
    axes = figure.axes[0].get_window_extent()
    shown = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    top, left = round(shown.shape[0] - axes.y1), round(axes.x0)
    picture = canvas(figure)
    assert (round(axes.height), round(axes.width)) == picture.shape[:2]
    inside = shown[top : top + picture.shape[0], left : left + picture.shape[1]]
    np.testing.assert_array_equal(inside, picture)
    title = figure.axes[0].title.get_window_extent()
    assert title.x1 <= shown.shape[1]
    assert title.y1 <= shown.shape[0]


def test_images_of_two_four_and_more_channels():
    x = RNG.random((1, 4, 4, 6)).astype(np.float32)
    two, note = pixels.to_rgb(x[..., :2])
    np.testing.assert_array_equal(two[0, :, 4:, 1], x[0, ..., 1])
    assert "two channels" in note
    four, note = pixels.to_rgb(x[..., :4])
    np.testing.assert_array_equal(four[:, :, :4], x[..., :3])
    np.testing.assert_array_equal(four[:, :, 4:, 0], x[..., 3])
    assert "fourth" in note
    six, note = pixels.to_rgb(x)
    np.testing.assert_allclose(six[..., 2], x.mean(-1), rtol=1e-6)
    assert note == "mean of 6 channels"
    assert len(visualize.image_rows({"a": x[..., :4]}, "t").axes[0].images) == 1


def test_large_images_are_averages_of_blocks():
    x = RNG.random((1, 300, 200, 1))
    small = pixels.reduce_size(x)
    assert small.shape == (1, 100, 67, 1)
    assert small[0, 1, 2, 0] == pytest.approx(x[0, 3:6, 6:9, 0].mean())
    assert small[0, 0, -1, 0] == pytest.approx(x[0, :3, 198:, 0].mean())


def test_missing_pixels_are_hatched_and_change_nothing_else():
    x = RNG.random((2, 8, 8, 1))
    missing = RNG.random(x.shape) < 0.3
    figure = visualize.image_rows({"a": np.where(missing, np.nan, x), "b": x}, "t")
    picture, complete = canvas(figure), canvas(visualize.image_rows({"a": x, "b": x}, "t"))
    for column in range(2):
        image, whole = (tile(p, 0, column, 8) for p in (picture, complete))
        seen = ~missing[column, ..., 0]
        np.testing.assert_array_equal(image[seen], whole[seen])
        assert {tuple(color) for color in image[~seen]} <= set(pixels.HATCH)
    np.testing.assert_array_equal(tile(picture, 1, 0, 8), tile(complete, 1, 0, 8))
    assert set(pixels.HATCH) <= {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert figure.axes[0].get_title(loc="center").endswith("(hatched: missing)")
    color = np.where(np.arange(3) == 1, np.nan, RNG.random((1, 8, 8, 3)))  # one channel is missing
    assert {
        tuple(c) for c in tile(canvas(visualize.image_rows({"a": color}, "t")), 0, 0, 8)[0]
    } <= (set(pixels.HATCH))


def test_averages_leave_missing_values_out():
    x = RNG.random((1, 300, 200, 1))
    x[0, 3:5, 6:9] = x[0, :3, :3] = np.nan
    small = pixels.reduce_size(x)
    assert small[0, 1, 2, 0] == pytest.approx(x[0, 5, 6:9, 0].mean())
    assert np.isnan(small).sum() == 1
    assert np.isnan(small[0, 0, 0, 0])
    gray, _ = pixels.to_rgb(np.array([1.0, np.nan, 3, np.nan, np.nan]).reshape(1, 1, 1, 5))
    assert gray.tolist() == [[[[2.0] * 3]]]


def test_groups_are_apart_and_have_headers():
    groups = Groups(rows=(1,), columns=(2,), headers={0.5: "left", 2: "right"})
    rows = {"a": np.zeros((3, 72, 72, 1)), "b": np.zeros((3, 72, 72, 1))}
    figure = visualize.image_rows(rows, "t", groups=groups)
    assert canvas(figure).shape == (2 * 72 + WIDE_GAP + 2 * GAP, 3 * 72 + WIDE_GAP + 3 * GAP, 3)
    assert texts(figure) == ["a", "b", "left", "right"]


class Decoder:
    """Latent 0 changes a pixel by all of the range, 1 by a fifth, the others by nothing seen."""

    model = types.SimpleNamespace(prior=priors.StandardNormal(2), supports=lambda capability: True)

    def image(self, z, *, y=None):
        change = jnp.stack([z[:, 0] / 5, z[:, 1] / 25, *[z[:, 2] / 1e3] * 2], 1)
        return (0.5 + change).reshape(-1, 2, 2, 1)


def test_traversals_show_the_latents_that_change_something():
    codes = np.zeros((50, 6), np.float32)
    kl = np.tile([0.2, 2.0, 3.0, 0.5, 0.01, 0.0], (50, 1))
    terms = types.SimpleNamespace(code=codes, kl=kl, y=None)
    figure = visualize.traversals(Decoder(), terms, value_range=(0.0, 1.0))
    labels = [text for text in texts(figure) if text.startswith("z")]
    assert [label.split()[0] for label in labels] == ["z1", "z0"]
    title = " ".join(figure.axes[0].get_title().split())
    assert (
        "2 of 6 latents shown; not shown: 2 with a KL below 0.1 nats, 2 without a change of a "
        "pixel by 10% of the range of the data"
    ) in title
    assert texts(figure)[2:] == [
        "−2.5",
        "−2",
        "−1.5",
        "−1",
        "−0.5",
        "0",
        "0.5",
        "1",
        "1.5",
        "2",
        "2.5",
    ]
    still = {d: np.full((3, 2), d) for d in range(3)}
    shown, hidden = path_grids.select_visible(still.__getitem__, [2, 1, 0], (0, 1))
    assert list(shown) == [2]
    assert [reason for reason, count in hidden.items() if count] == [
        "without a change of a pixel by 10% of the range of the data, as the one that changes most"
    ]


def test_traversals_leave_out_latents_without_information():
    """An unused latent may move an edge by a shade; it is counted, not shown, nor named."""
    rng = np.random.default_rng(0)
    terms = types.SimpleNamespace(code=rng.normal(size=(50, 6)), kl=None, y=None)
    for kl, shown, count in (
        ([0.05, 0.2, 0, 0, 0, 0], ["z1"], "1 of 6 latents shown; not shown: 5 with a KL below 0.1"),
        ([0.05, 0.02, 0, 0, 0, 0], ["z0"], "1 of 6 latents shown; not shown: 5 with a smaller KL"),
    ):
        terms.kl = np.tile(kl, (50, 1))
        figure = visualize.traversals(Decoder(), terms, value_range=(0.0, 1.0))
        assert [text.split()[0] for text in texts(figure) if text.startswith("z")] == shown
        assert count in " ".join(figure.axes[0].get_title().split())
    terms.kl = None  # an autoencoder has no such measure
    figure = visualize.traversals(Decoder(), terms, value_range=(0.0, 1.0))
    title = " ".join(figure.axes[0].get_title().split())
    assert "2 of 6 latents shown; not shown: 4 without" in title


def test_samples_say_that_classes_are_left_out():
    conditioning = types.SimpleNamespace(num_classes=30)
    model = types.SimpleNamespace(model=types.SimpleNamespace(conditioning=conditioning))
    y = image_grids.sample_labels(model, np.zeros(5, int), 2)
    same = "the same first characters of "
    classes = ["a class with a name that is too long", "data", f"{same}a", f"{same}b"]
    names = image_grids.row_names(model, y, 2, classes=classes)
    assert names[:2] == ["a class with a name tha…", "data (1)"]
    assert len(set(names)) == 16
    arrays = {"draw": RNG.random((len(y), 4, 4, 1)), "y": y}
    figure = image_grids.sample_rows(arrays, names, num_classes=30)
    title = " ".join(figure.axes[0].get_title().split())
    assert "a row for each of the first 16 of 30 classes" in title


def test_interpolations_stand_between_their_sources():
    x = RNG.random((4, 8, 8, 1)).astype(np.float32)

    class Paths:
        def interpolate(self, start, end, num_points, *, kind, y=None):
            return np.stack([start * (kind == "linear")] * num_points)

    picture = canvas(visualize.interpolations(Paths(), x, num_pairs=2, num_points=3))
    left = tile(picture, 0, 0, 8)[..., 0]
    np.testing.assert_allclose(left, 255 * x[0, ..., 0], atol=1)
    last = picture[GAP : GAP + 72 : 9, -GAP - 72 :: 9][:8, :8, 0]
    np.testing.assert_allclose(last, 255 * x[2, ..., 0], atol=1)


@pytest.fixture(scope="module")
def trained():
    """A model of images 4x4, its data with named classes, and the terms of the test set."""
    y = np.array(["cat", "dog"])[RNG.integers(0, 2, 60)]
    arrays = {"train_images": RNG.random((60, 4, 4)), "train_labels": y}
    data = from_arrays({**arrays, "test_images": RNG.random((7, 4, 4)), "test_labels": y[:7]})
    parts = (nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(3))
    module = VAE(*parts, priors.StandardNormal(3), likelihoods.Bernoulli((4, 4, 1)))
    key = jax.random.key(0)
    model = TrainedModel(module, module.init(key, jnp.zeros((1, 4, 4, 1)), key))
    terms = make_evaluator(module, batch_size=7)(model.params, data.test, key)
    return model, data, terms


def test_arrays_are_what_the_model_gives(trained, tmp_path):
    model, data, terms = trained
    visualize.plot_all(model, data, terms, [], tmp_path, file_format="pdf")
    load = {path.stem: np.load(path) for path in tmp_path.glob("*.npz")}
    x = data.test.images
    np.testing.assert_array_equal(load["reconstructions"]["data"], x)
    expected = model.reconstruct(jnp.asarray(x))
    np.testing.assert_allclose(load["reconstructions"]["mean"], expected, rtol=1e-5)
    assert set(np.unique(load["reconstructions"]["draw"])) <= {0, 1}
    mean, draw = (load["samples"][kind] for kind in ("mean", "draw"))
    assert mean.shape == draw.shape == (64, 4, 4, 1)
    # Draws at the same z: their error is the standard deviation of a Bernoulli variable.
    assert ((draw - mean) ** 2).mean() == pytest.approx((mean * (1 - mean)).mean(), rel=0.1)
    np.testing.assert_array_equal(load["latents"]["code"], terms.code)
    np.testing.assert_array_equal(load["latents"]["y"], data.test.labels)
    assert set(load["latents"]["split"]) == {"test"}
    assert (tmp_path / "samples.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "samples.png").exists()
    names = [
        text.get_text()
        for text in visualize.latent_map(terms, class_names=data.preparation["classes"])
        .axes[1]
        .get_yticklabels()
    ]
    assert names == ["cat", "dog"]
    assert not list(tmp_path.glob(".*"))


def test_figures_of_images_with_missing_pixels(trained, tmp_path):
    """The encoder sees the observed pixels; the arrays have NaN at the others."""
    model, data, _ = trained
    observed = RNG.random(data.test.images.shape) < 0.7
    x = np.where(observed, data.test.images, np.nan)
    arrays = {"train_images": data.train.images, "test_images": x, "valid_images": x}
    holes = from_arrays(arrays, missing=True)
    terms = make_evaluator(model.model, batch_size=7)(model.params, holes.test, jax.random.key(0))
    unchecked = TrainedModel(model.model, model.params, checks=False)
    visualize.plot_all(unchecked, holes, terms, [], tmp_path)
    found = np.load(tmp_path / "reconstructions.npz")
    np.testing.assert_array_equal(found["data"], x)
    expected = model.reconstruct(data.test.images, observed=observed)
    np.testing.assert_allclose(found["mean"], expected, rtol=1e-5)
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"interpolations", "samples"}
    figure = visualize.interpolations(unchecked, x, num_pairs=2, num_points=3)
    first = tile(canvas(figure), 0, 0, 4)
    assert {tuple(c) for c in first[~observed[0, ..., 0]]} <= set(pixels.HATCH)
    path = canvas(figure)[GAP : GAP + 72 : 18, GAP + 72 + WIDE_GAP :][:, :72:18, 0]
    np.testing.assert_allclose(path, 255 * np.asarray(expected)[0, ..., 0], atol=1)


def test_large_sets_are_sampled():
    codes = np.arange(30_000.0)[:, None] * np.ones(2)
    terms = types.SimpleNamespace(code=codes, y=np.arange(30_000))
    arrays = model_arrays.codes(terms, "test", limit=100)
    assert arrays["code"].shape == (100, 2)
    np.testing.assert_array_equal(arrays["y"], arrays["index"])
    figure = visualize.latent_map(terms)
    shown = figure.axes[0].collections[1].get_offsets()
    assert len(shown) == code_map.MAX_POINTS["pca"]
    assert "5,000 of 30,000 examples" in figure.texts[0].get_text()


def test_a_map_has_a_panel_for_each_factor_that_varies():
    y = np.stack([RNG.integers(0, k, 200) for k in (3, 1, 40)], 1)
    terms = types.SimpleNamespace(code=RNG.normal(size=(200, 5)), y=y)
    figure = visualize.latent_map(terms, factor_names=("shape", "color", "angle"))
    titles = [axes.get_title() for axes in figure.axes]
    assert [title for title in titles if title] == ["shape", "angle"]
    unknown = types.SimpleNamespace(code=terms.code, y=np.where(y[:, 0] == 2, -1, y[:, 0]))
    axes = visualize.latent_map(unknown).axes
    assert len(axes[0].collections[0].get_offsets()) == (y[:, 0] == 2).sum()
    assert axes[1].get_title(loc="left") == "gray: no label"


def test_many_dimensions_have_the_components_of_few():
    codes = RNG.normal(size=(40, 600)) * np.r_[9, 5, np.ones(598)]
    points, shares = visualize.principal_plane(codes)
    variances = np.linalg.svd(codes - codes.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(shares, variances[:2] / variances.sum(), rtol=1e-6)
    assert points.shape == (40, 2)


@pytest.mark.slow  # imports scikit-learn
def test_tsne_keeps_clusters():
    codes = np.concatenate([RNG.normal(size=(20, 4)) - 9, RNG.normal(size=(20, 4)) + 9])
    points, names, _ = visualize.project(codes, "tsne")
    centers = points[:20].mean(0), points[20:].mean(0)
    assert names[0] == "t-SNE 1"
    spread = np.linalg.norm(points[:20] - centers[0], axis=1).mean()
    assert np.linalg.norm(centers[0] - centers[1]) > 2 * spread


def test_umap_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(projections, "has_umap", lambda: False)
    with pytest.raises(ValueError, match="umap-learn, which is not installed"):
        visualize.project(np.zeros((9, 3)), "umap")
    with pytest.raises(ValueError, match="did you mean 'tsne'"):
        visualize.project(np.zeros((9, 3)), "t-sne")
