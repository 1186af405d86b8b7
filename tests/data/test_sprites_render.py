"""The dSprites renderer: geometry, and agreement with the genuine images if available."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import sprites

BATCH = 512
LARGE = 5  # the class of scale 1.0

render = jax.jit(sprites.render)


@pytest.fixture(scope="module")
def grid(real_data) -> dict[str, np.ndarray]:
    """The factorial sub-grid of the published images; skips the test if it is absent."""
    path = real_data / "raw" / "dsprites_subset" / "dsprites_grid.npz"
    if not path.is_file():
        pytest.skip(f"no genuine images at {path}")
    return dict(np.load(path))


def random_classes(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, sprites.FACTOR_SIZES, (n, 5)).astype(np.int32)


def draw(*rows: tuple[int, ...]) -> np.ndarray:
    classes = np.zeros(
        (BATCH, 5), np.int32
    )  # one batch size for all tests, so that one program is compiled
    classes[: len(rows)] = rows
    return np.asarray(render(classes))[: len(rows), ..., 0]


def center_of_mass(images: np.ndarray) -> np.ndarray:
    """(column, row) of each image [N, 2]."""
    grid = np.arange(64.0)
    moments = np.stack([images.sum(1) @ grid, images.sum(2) @ grid], axis=-1)
    return moments / images.sum((1, 2))[:, None]


def test_agrees_with_the_genuine_images(grid) -> None:
    classes, genuine = grid["original_classes"].astype(np.int32), grid["images"].astype(bool)
    iou = []
    for start in range(0, len(classes), BATCH):
        ours = np.asarray(render(classes[start : start + BATCH]))[..., 0] > 0.5
        theirs = genuine[start : start + BATCH]
        iou.append((ours & theirs).sum((1, 2)) / (ours | theirs).sum((1, 2)))
    iou = np.concatenate(iou)
    for shape, (mean, minimum) in enumerate([(0.9999, 0.99), (0.9985, 0.96), (0.9980, 0.94)]):
        of_shape = iou[classes[:, 0] == shape]
        assert of_shape.mean() >= mean, (shape, of_shape.mean())
        assert of_shape.min() >= minimum, (shape, of_shape.min())


def test_squares_equal_the_genuine_ones(grid) -> None:
    is_square = grid["original_classes"][:, 0] == 0
    classes = grid["original_classes"][is_square].astype(np.int32)
    genuine = grid["images"][is_square].astype(bool)
    assert len(classes) == 30 * BATCH
    different = np.concatenate(
        [
            (draw(*classes[i : i + BATCH]) != genuine[i : i + BATCH]).sum((1, 2))
            for i in range(0, len(classes), BATCH)
        ]
    )
    # Angles in float32 leave corners whose rounding is undecided.
    assert (different > 0).sum() <= 3
    assert different.max() <= 1
    assert not different[classes[:, 2] == 0].any()


def test_pixels_on_an_edge_belong_to_the_left_and_lower_one() -> None:
    # The half side is 5.76 and the center 15.5 + 32 * 8 / 31 = 23.758, so that two corners round
    # to exactly 18: the column is inside, as in the published image, and the row is not.
    image = draw((0, 1, 0, 8, 8))[0]
    np.testing.assert_array_equal(np.flatnonzero(image.any(0)), np.arange(18, 30))
    np.testing.assert_array_equal(np.flatnonzero(image.any(1)), np.arange(19, 30))


def test_index_is_the_row_of_the_published_set(grid) -> None:
    classes = sprites.index_to_classes(grid["original_indices"])
    np.testing.assert_array_equal(classes, grid["original_classes"])


def test_index_is_row_major() -> None:
    index = np.arange(sprites.NUM_IMAGES, dtype=np.int32)
    classes = sprites.index_to_classes(index)
    assert classes.dtype == jnp.int32
    np.testing.assert_array_equal(
        classes, np.stack(np.unravel_index(index, sprites.FACTOR_SIZES), axis=-1)
    )


def test_upright_square_is_19_pixels_wide() -> None:
    expected = np.zeros((64, 64), np.float32)
    expected[23:42, 23:42] = 1.0  # 15.5 + 32 * 16 / 31 +- 9.6 = 22.42 .. 41.62
    np.testing.assert_array_equal(draw((0, LARGE, 0, 16, 16))[0], expected)


def test_areas_grow_with_the_square_of_the_scale() -> None:
    # Means over poses; 224.5 is the area of the genuine heart, counted in its own frame.
    for shape, area in enumerate([19.2**2, np.pi * 12.8 * 7.2, 224.5]):
        for scale in range(6):
            poses = random_classes(300, seed=scale)
            poses[:, 0], poses[:, 1] = shape, scale
            assert draw(*poses).sum((1, 2)).mean() == pytest.approx(
                area * (0.5 + 0.1 * scale) ** 2, rel=0.01
            )


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_x_moves_along_columns_and_y_along_rows(shape: int) -> None:
    corners = draw((shape, LARGE, 7, 0, 0), (shape, LARGE, 7, 31, 0), (shape, LARGE, 7, 0, 31))
    origin, along_x, along_y = center_of_mass(corners)
    np.testing.assert_allclose(along_x - origin, [32.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(along_y - origin, [0.0, 32.0], atol=1e-3)
    step = np.diff(center_of_mass(draw(*[(shape, LARGE, 7, x, 11) for x in range(32)]))[:, 0])
    assert step.mean() == pytest.approx(32 / 31, abs=1e-3)
    np.testing.assert_allclose(step, 32 / 31, atol=0.3)


def test_symmetries() -> None:
    # Positions 0 and 31 are centered on half pixels, so mirroring maps centers to centers.
    def centerd(shape: int, orientation: int) -> np.ndarray:
        return draw((shape, LARGE, orientation, 0, 0))[0, :32, :32]

    for shape in range(3):
        np.testing.assert_array_equal(centerd(shape, 0), centerd(shape, 0)[:, ::-1])
        np.testing.assert_array_equal(centerd(shape, 5), centerd(shape, 34)[:, ::-1])
        np.testing.assert_array_equal(centerd(shape, 0), centerd(shape, 39))
    square = centerd(0, 13)  # a turn by 120 degrees, for a square the same as by 30
    np.testing.assert_array_equal(square, np.rot90(square))
    ellipse = centerd(1, 13)
    np.testing.assert_array_equal(ellipse, np.rot90(ellipse, 2))


def test_a_positive_orientation_turns_counter_clockwise() -> None:
    upright, turned = draw(
        (1, LARGE, 0, 16, 16), (1, LARGE, 5, 16, 16)
    )  # 46 degrees; rows grow downwards
    row, column = np.mgrid[:64, :64] - 32.0
    assert abs((upright * row * column).sum()) < 0.02 * upright.sum()
    assert (turned * row * column).sum() < -10 * turned.sum()


def test_the_tip_of_the_upright_heart_points_down() -> None:
    heart = draw((2, LARGE, 0, 16, 16))[0]
    rows = np.flatnonzero(heart.sum(1))
    assert heart[rows[-1]].sum() <= 2
    assert heart[rows[0]].sum() >= 4
    assert heart[rows[0], 32] == 0  # the notch


def test_compiled_scanned_and_mapped_renders_equal_the_eager_one() -> None:
    classes = random_classes(24)
    eager = np.asarray(sprites.render(classes))
    assert eager.shape == (24, 64, 64, 1)
    assert eager.dtype == np.float32
    assert set(np.unique(eager)) == {0.0, 1.0}
    stacked = jnp.asarray(classes).reshape(4, 6, 5)
    scanned = jax.jit(
        lambda c: jax.lax.scan(lambda carry, row: (carry, sprites.render(row)), None, c)[1]
    )(stacked)
    for other in (render(classes), jax.vmap(sprites.render)(stacked), scanned):
        # Fused multiply-adds may round a pixel on the very edge the other way.
        assert np.mean(np.asarray(other).reshape(eager.shape) != eager) < 2e-5


@pytest.mark.parametrize("factor", range(5))
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_bad_classes_are_named(factor: int, array: type) -> None:
    name, size = sprites.FACTOR_NAMES[factor], sprites.FACTOR_SIZES[factor]
    for value in (-1, size):
        classes = np.zeros((3, 5), np.int32)
        classes[1, factor] = value
        with pytest.raises(ValueError, match=rf"{name} = {value}: .* 0 and at most {size - 1}"):
            sprites.render(array(classes))


def test_bad_indices_shapes_and_types_are_refused() -> None:
    with pytest.raises(ValueError, match=r"index = 737280: .* at most 737279"):
        sprites.index_to_classes(np.array([0, sprites.NUM_IMAGES]))
    with pytest.raises(AssertionError):
        sprites.render(np.zeros((2, 4), np.int32))
    with pytest.raises(AssertionError):
        sprites.render(np.zeros((2, 5), np.float32))
