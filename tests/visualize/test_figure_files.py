"""Files of figures: text that stays text, characters of other fonts, colors, axes with names."""

import itertools
import types
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vae_jax import visualize
from vae_jax.visualize import code_map, colors, fonts
from vae_jax.visualize.grids import wrap

RNG = np.random.default_rng(0)
WIDE = "⌒"  # DejaVu Sans lacks it, DejaVu Sans Mono, which comes with matplotlib too, has it


def lines_figure():
    return visualize.text_samples(["two  words", "$5 < $6"], "the title")


def test_text_of_vector_formats_is_text(tmp_path):
    """Words can be found and edited; in pixels they are outlines in cells of one width."""
    text = visualize.save(lines_figure(), tmp_path / "a.svg").read_text(encoding="utf-8")
    for word in ("the title", ">two<", ">words<", "$6"):
        assert word in text
    images = visualize.image_rows({"row $a$ of $b$": RNG.random((2, 4, 4, 1))}, "images")
    assert "row $a$ of $b$" in visualize.save(images, tmp_path / "b.svg").read_text("utf-8")
    content = visualize.save(lines_figure(), tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content  # TrueType, which editors read
    assert b"/Type3" not in content
    assert content == visualize.save(lines_figure(), tmp_path / "again.pdf").read_bytes()


def test_words_are_where_their_cells_are(tmp_path):
    figure = visualize.text_samples(["x" * 60 + " y"], "t")
    text = visualize.save(figure, tmp_path / "a.svg").read_text(encoding="utf-8")
    places = [float(part.split('"')[0]) for part in text.split(' x="')[1:]]
    patch = figure.axes[0].patches[0].get_path().vertices
    last = patch[-4:, 0].min() * 72 / 96  # the y, in points
    assert any(abs(place - last) < 3 for place in places)


def test_characters_of_another_font():
    assert fonts.find_fonts(frozenset(WIDE)) != ()
    assert fonts.find_fonts(frozenset("\U0010fffd")) == ()  # a box for every character is no font
    figure = Figure()
    axes = figure.add_subplot()
    plain, other = axes.set_title("plain ß"), axes.text(0, 0, f"a{WIDE}")
    family = plain.get_fontfamily()
    for _ in range(2):  # figures are saved in several formats
        fonts.add_missing_fonts(figure)
    assert plain.get_fontfamily() == family
    assert other.get_fontfamily() == [*family, *fonts.find_fonts(frozenset(WIDE))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # 'Glyph missing from font'
        FigureCanvasAgg(figure).draw()


def lightness(color):
    return np.dot([int(color[i : i + 2], 16) for i in (1, 3, 5)], (0.299, 0.587, 0.114))


def test_colors_of_classes_and_of_ordered_values():
    few = [to_hex(colors.color_map(4)(i)) for i in range(4)]
    assert few == list(colors.CATEGORIES[:4])
    for num, is_ordered in ((30, False), (3, True)):
        shades = [to_hex(colors.color_map(num, is_ordered=is_ordered)(i)) for i in range(num)]
        assert (np.diff([lightness(shade) for shade in shades]) > 0).all()


def terms_of(y, code=None):
    return types.SimpleNamespace(code=RNG.normal(size=(len(y), 4)) if code is None else code, y=y)


def test_a_map_of_many_classes_names_them_in_their_room():
    names = [f"class number {i} with a name that is long" for i in range(30)]
    figure = visualize.latent_map(terms_of(np.arange(300) % 30), class_names=names)
    texts = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert len(texts) == 30
    assert texts[29] == "class number 29 with a …"
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[1].get_yticklabels()]
    assert max(box.x1 for box in boxes) < figure.bbox.x1
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))


def test_a_flat_map_has_a_flat_plane():
    flat = RNG.normal(size=(200, 2)) * [9, 3]
    heights = []
    for code in (flat, flat / [3, 1]):
        figure = visualize.latent_map(terms_of(np.arange(200) % 3, code))
        box = figure.axes[0].get_position()
        heights.append(box.height * figure.get_figheight())
    assert heights[0] == pytest.approx(
        code_map.PANEL[True] * np.ptp(flat[:, 1]) / np.ptp(flat[:, 0]), rel=0.3
    )
    assert heights[1] > 1.5 * heights[0]


def test_axes_have_names_and_units():
    history = [{"step": s, "split": "valid", "elbo": -9.0 + s, "rate": 1.0} for s in range(4)]
    axes = visualize.learning_curve(history, "elbo").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "ELBO (nats)")
    names = {"splits": {"valid": "validation, given y"}, "phases": {"second": 2}}
    axes = visualize.learning_curve(history, "elbo", **names).axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["validation, given y", "second"]
    axes = visualize.overlaid_curves({"a": history, "b": history}, "rate").axes[0]
    assert axes.get_ylabel() == "rate on validation data (nats)"
    axes = visualize.histogram({"normal": RNG.normal(size=9)}, "Score").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Score", "density")


def test_diagonals_of_the_plane_have_labels_with_a_minus():
    axes = visualize.rate_distortion([({"run": "a"}, {"rate": 5.0, "distortion": 17.0})]).axes[0]
    assert {text.get_text() for text in axes.texts} >= {"ELBO −20", "ELBO −24"}
    many = [({"run": f"r{i}"}, {"rate": 5.0 + i, "distortion": 17.0}) for i in range(12)]
    axes = visualize.rate_distortion(many).axes[0]
    styles = {
        (line.get_color(), line.get_marker()) for line in axes.lines if line.get_marker() in "os"
    }
    assert len(styles) == 12  # no two runs look the same


def test_lines_break_outside_of_densities():
    text = "the mean of p(x | z) at the center"
    for width in range(150, 320, 10):
        assert all(line.count("(") == line.count(")") for line in wrap(text, 10, width).split("\n"))
        assert " ".join(wrap(text, 10, width).split("\n")) == text


def test_a_constant_has_an_axis_around_it():
    history = [{"step": s, "split": "valid", "rate": 0.0, "elbo": -9.0} for s in range(4)]
    assert visualize.learning_curve(history, "rate").axes[0].get_ylim() == (-0.5, 0.5)
    assert visualize.learning_curve(history, "elbo").axes[0].get_ylim() == (-9.5, -8.5)
