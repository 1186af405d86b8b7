"""Lines of text in figures: cells, marks of differences, truncation, and merged paths."""

import io

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import PathPatch, Rectangle

from vae_jax import visualize
from vae_jax.visualize import canvas, text

LONG = "the quick brown fox " * 15  # 300 characters


def texts(figure):
    return [entry.get_text() for entry in figure.axes[0].texts]


def title(figure):
    """The lines of the title, which come first and are the largest."""
    lines = [t.get_text() for t in figure.axes[0].texts if t.get_fontsize() == canvas.TITLE_SIZE]
    return " ".join(lines)


def boxes(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def outlines(figure):
    return [patch.get_path() for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]


def test_the_hundredth_character_is_in_the_hundredth_cell():
    axes, _ = canvas.make_canvas(800, 20, "title")
    canvas.add_cells(axes, 10, 15, "M" * 100, 8)
    (path,) = outlines(axes.figure)
    letters = path.vertices[path.codes != path.CLOSEPOLY].reshape(100, -1, 2)
    step = canvas.cell_width(8)
    np.testing.assert_allclose(np.diff(letters[:, :, 0], axis=0), step, rtol=1e-6)
    assert 10 < letters[0, :, 0].min() < letters[0, :, 0].max() < 10 + step
    assert letters[..., 1].max() == pytest.approx(15)  # on the line, below which y grows
    assert letters[..., 1].min() < 15 - 5


def test_characters_without_a_glyph_or_a_width_are_replaced():
    assert canvas.printable("Жé→ $\\ a") == "Жé→ $\\ a"
    assert canvas.printable("字🙂e\u0301\u200b\x00") == "��e���"
    assert canvas.printable("a\tb") == "a⇥b"
    figure = text.text_samples(["字", "a\tb", "c"])
    assert "�: a character that the font of this figure lacks" in title(figure)
    assert "⇥: tab" in title(figure)
    assert title(text.text_samples(["c"])) == "Samples"


@pytest.mark.parametrize(
    ("line", "marks"),
    [("", ""), ("a", " "), ("  a b ", "··   ·"), ("   ", "···"), ("a\t ", "  ·")],
)
def test_spaces_at_the_ends_of_a_line_are_visible(line, marks):
    assert text.mark_outer_spaces(line) == marks
    assert ("·: space at an end" in title(text.text_samples([line]))) == ("·" in marks)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_marked_is_the_same_in_both_lines(seed):
    rng = np.random.default_rng(seed)
    first, second = ("".join(rng.choice(list("abc "), rng.integers(0, 30))) for _ in range(2))
    marks = text.differences(first, second)
    rests = [
        "".join(char for i, char in enumerate(line) if i not in marked)
        for line, marked in zip((first, second), marks, strict=True)
    ]
    assert rests[0] == rests[1]
    assert text.differences(first, first) == (frozenset(), frozenset())


def test_marks_are_behind_the_characters_that_differ():
    figure = text.text_reconstructions(["costs $5", "abc"], ["costs $64", "abc"], "greedily")
    assert title(figure) == "Test lines above their reconstructions, greedily: 1 of 2 are equal"
    assert texts(figure).count("equal") == 1
    missing, added = boxes(figure)
    step = canvas.cell_width(text.SIZE)
    assert missing.get_width() == pytest.approx(step)
    assert added.get_width() == pytest.approx(2 * step)
    left = outlines(figure)[0].vertices[:, 0].min()
    assert missing.get_x() == added.get_x() == pytest.approx(left + 7 * step, abs=step / 2)
    assert added.get_y() > missing.get_y() + missing.get_height()


def test_long_lines_say_how_much_is_left_out():
    line = text.Line(LONG, marked=frozenset({3, 100, 299}))
    shown, rest = text.truncate(line, 100)
    assert LONG.startswith(shown)
    assert rest == f"… +{300 - len(shown)} characters, 2 marked"
    assert len(shown) + 1 + len(rest) <= 100
    assert text.truncate(text.Line("a" * 100), 100) == ("a" * 100, "")
    figure = text.text_samples([LONG])
    right = max(path.vertices[:, 0].max() for path in outlines(figure))
    assert right < text.WIDTH


def test_equal_lines_in_a_row_are_shown_once():
    path = ["a", "a", "b", "a", "", ""]
    labels = [f"{i}" for i in range(6)]
    figure = text.text_paths([path], "t", labels=labels, headers=["head"], ends=[("A", "Z")])
    assert texts(figure)[1:2] == ["head"]
    assert [t for t in texts(figure)[2:] if t] == ["data", "0 … 1", "2", "3", "4 … 5", "data"]
    assert text.merge_runs([]) == []


def test_a_png_has_two_pixels_for_one(tmp_path):
    figure = visualize.text_samples(["", LONG])
    image = imread(io.BytesIO(visualize.save(figure, tmp_path / "text.png").read_bytes()))
    low, high = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert image.shape[:2] == pytest.approx((2 * high[0], 2 * low[1]), abs=1)
    svg = visualize.save(figure, tmp_path / "text.svg").read_text()
    assert "<image" not in svg


@pytest.mark.parametrize("lines", [[], [""], ["a"], [LONG] * 3])
def test_any_number_of_lines(lines):
    visualize.text_samples(lines, data=lines)
    visualize.text_reconstructions(lines, lines)
    visualize.text_paths([lines], "t", labels=[""] * len(lines))
