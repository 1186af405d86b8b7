"""Drawings of molecules: structures, what is merged and counted, and what a search found."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

pytest.importorskip("rdkit")

from vae_jax.evaluation.molecules import properties, wasserstein
from vae_jax.evaluation.search.candidates import Candidates, as_texts
from vae_jax.visualize import canvas, molecules
from vae_jax.visualize.colors import BLUE, RED
from vae_jax.visualize.molecules import paths, structures, tiles

ASPIRIN, PHENOL, ETHANOL = "CC(=O)Oc1ccccc1C(=O)O", "Oc1ccccc1", "CCO"
PEPTIDE = (  # 60 heavy atoms
    "O=C(O)[C@@H]1CCCN1C(=O)[C@H](Cc1ccc(O)cc1)NC(=O)[C@H](CCC(N)=O)NC(=O)[C@H](CO)NC(=O)"
    "[C@H](Cc1c[nH]c2ccccc12)NC(=O)[C@@H](N)CCCNC(=N)N"
)
ODD = ["C", "[He]", "[Na+].CC(=O)[O-]", PEPTIDE, "C" * 100, "[13CH3]/C=C\\C", "c1ccccc1-c1ccccc1"]
INVALID = [None, "", "C1CC", "C C", "c1ccccc1 name", "字", "C(" * 150]


def texts(figure):
    return [entry.get_text() for entry in figure.axes[0].texts]


def title(figure):
    lines = [t.get_text() for t in figure.axes[0].texts if t.get_fontsize() == canvas.TITLE_SIZE]
    return " ".join(lines)


def frames(figure):
    """Colors of the tiles, row by row."""
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    return [to_hex(patch.get_edgecolor()) for patch in patches]


@pytest.mark.parametrize("smiles", ODD)
def test_structures_stay_in_their_box(smiles):
    strokes = structures.draw_structure(smiles, 150, 112)
    points = np.concatenate([stroke.path.vertices for stroke in strokes])
    assert (points >= -1).all()
    assert (points <= [151, 113]).all()


@pytest.mark.parametrize("smiles", INVALID)
def test_what_is_no_molecule_has_no_structure(smiles):
    assert structures.draw_structure(smiles or "", 150, 112) is None


def test_a_bond_has_one_length_in_small_molecules():
    for smiles in ("CC", "CCCC"):
        first = structures.draw_structure(smiles, 150, 112)[0]
        length = np.linalg.norm(np.diff(first.path.vertices, axis=0))
        assert length == pytest.approx(structures.BOND, rel=0.02)
        assert first.width == pytest.approx(structures.LINE)


def test_charges_and_colors_of_atoms_are_drawn():
    sodium = structures.draw_structure("[Na+]", 150, 112)
    assert len(sodium) == 3  # N, a, +
    assert all(stroke.width == 0 for stroke in sodium)
    colors = {stroke.color for stroke in structures.draw_structure(ASPIRIN, 150, 112)}
    assert {"#000000", "#FF0000"} <= colors


def test_equal_molecules_look_the_same():
    drawings = [structures.draw_structure(s, 150, 112) for s in ("OCC", "CCO", "C(C)O")]
    for drawing in drawings[1:]:
        for one, other in zip(drawings[0], drawing, strict=True):
            np.testing.assert_array_equal(one.path.vertices, other.path.vertices)


def ring_bonds(smiles, like=None):
    """Lines of bonds between carbons, by their directions."""
    strokes = structures.draw_structure(smiles, 300, 300, like)
    lines = [s.path.vertices for s in strokes if s.width and s.color == "#000000"]
    return {tuple(np.round(np.diff(line, axis=0)[0], 0) + 0.0) for line in lines if len(line) == 2}


def test_common_rings_are_placed_alike():
    naproxen, other = "COc1ccc2cc(C(C)C(=O)O)ccc2c1", "Oc1ccc2cc(CCCCCC(F)(F)F)ccc2c1"
    reference = ring_bonds(naproxen)
    alike = ring_bonds(other, like=naproxen)
    assert len(alike & reference) > len(ring_bonds(other) & reference)
    for like in (None, "", "C1CC", "C", "c1ccncc1"):  # nothing in common
        assert ring_bonds(other, like=like) == ring_bonds(other)
    assert structures.draw_structure("C1", 300, 300, naproxen) is None


def test_the_commands_of_a_path():
    path = structures._read_path("M 8,16 L 24.0 -8.0\nQ 8 8, 16 16 C 0,0 8,8 16,0 Z")
    np.testing.assert_allclose(
        path.vertices,
        [[1, 2], [3, -1], [1, 1], [2, 2], [0, 0], [1, 1], [2, 0], [2, 0]],
    )
    assert path.codes.tolist() == [1, 2, 3, 3, 4, 4, 4, 79]


def test_small_signs_are_not_moved_to_whole_pixels():
    axes, _ = canvas.make_canvas(150, 112, "t")
    structures.add_structure(axes, structures.draw_structure("[Na+]", 150, 112), 5, 7)
    assert not any(patch.get_snap() for patch in axes.patches)
    (patch,) = axes.patches  # one of each color
    strokes = structures.draw_structure("[Na+]", 150, 112)
    vertices = np.concatenate([stroke.path.vertices for stroke in strokes])
    np.testing.assert_allclose(patch.get_path().vertices, vertices + np.array([5, 7]))


def test_text_that_is_no_molecule_is_counted():
    long = "C(" * 150
    figure = tiles.tile_grid([tiles.Block([[tiles.Tile(long), tiles.Tile(None)]])], "t")
    assert len(figure.axes[0].patches) > 2
    per_line = int((tiles.WIDTH - 2 * tiles.PADDING) / canvas.cell_width(tiles.TEXT_SIZE))
    num_lines = int((tiles.HEIGHT - 2 * tiles.PADDING) / tiles.TEXT_LINE)
    lines = tiles.break_text(long, per_line, num_lines)
    assert len(lines) == num_lines
    hidden = int(lines[-1].split()[1])
    assert "".join(lines[:-1]) == long[: len(long) - hidden]
    assert tiles.break_text("abc", 2, 3) == ["ab", "c"]


def test_reconstructions_are_compared_as_molecules():
    figure = molecules.reconstructions(["OCC", PHENOL, "C", "C"], ["CCO", ASPIRIN, "C1", None], "d")
    assert title(figure).startswith("Test molecules above their reconstructions, d: 1 of 4 are")
    captions = texts(figure)
    assert captions.count("the same") == 1
    assert captions.count("not a molecule") == 2
    assert frames(figure)[4:].count(BLUE) == 1
    many = molecules.reconstructions(["C"] * 100, ["C"] * 60 + ["N"] * 40)
    assert "60 of 100 (60.0%)" in title(many)
    assert texts(many).count("the same") == 12


def test_samples_are_counted_and_marked():
    smiles = [ETHANOL, "OCC", PHENOL, "C1", None, ASPIRIN]
    figure = molecules.samples(smiles, known=["C(C)O", "C"], description="d")
    expected = "Samples, d: 4 of 6 are molecules, 3 of them different, 2 of these not in the"
    assert title(figure) == f"{expected} training data"
    assert texts(figure).count("in the training data") == 1
    assert texts(figure).count("again") == 1
    assert frames(figure).count(BLUE) == 2
    many = molecules.samples(["C"] * 60)
    assert title(many).endswith(
        "60 of 60 (100.0%) are molecules, 1 of them different; the first 30 are shown"
    )
    assert "0 of 3 are molecules" in title(molecules.samples(["", None, "C("]))


def test_neighbors_are_merged_and_sorted_by_their_nearest_code():
    decoded = ["CCO", "C1", "CCN", "OCC", PHENOL, None]
    neighborhood = paths.Neighborhood("CCN", decoded, [3.0, 0.5, 2.0, 1.0, 4.0, 9.0])
    figure = molecules.neighbors([neighborhood], "typical")
    assert texts(figure)[1] == "6 codes around it: 4 decode to a molecule, 3 different"
    captions = [t for t in texts(figure) if t.startswith("distance")]
    assert captions == ["distance 1.00 (2 codes)", "distance 2.00", "distance 4.00"]
    assert texts(figure).count("the same") == 1
    similar = [t for t in texts(figure) if t.startswith("similarity")]
    assert similar[1] == "similarity 1.00"
    assert "distance 1 is typical" in title(figure)
    lone = molecules.neighbors([paths.Neighborhood("C", [None], [1.0])])
    assert texts(lone)[1] == "1 code around it: 0 decode to a molecule, 0 different"


def test_equal_steps_in_a_row_are_merged():
    decoded = ["CCO", "OCC", "C1", "C1", PHENOL, "CCO"]
    path = paths.Interpolation(ETHANOL, PHENOL, decoded, np.linspace(0, 1, 6).tolist())
    figure = molecules.interpolations([path])
    assert texts(figure)[1] == "6 steps: 4 decode to a molecule, 2 different"
    places = [t for t in texts(figure) if t.startswith("t = ")]
    assert places == ["t = 0.00–0.20", "t = 0.40–0.60", "t = 0.80", "t = 1.00"]
    assert texts(figure).count("2×") == 2
    assert texts(figure).count("not a molecule") == 1
    first = next(t for t in texts(figure) if t.startswith("similarity"))
    assert first.startswith("similarity 1.00, 0.")
    many = ["C" * n for n in range(1, 31)]
    long = molecules.interpolations([paths.Interpolation("C", "CC", many, np.linspace(0, 1, 30))])
    assert texts(long)[1].endswith("30 different; 16 of 30 shown")


def make_candidates(decoded, recomputed, predicted, stddev=np.nan):
    size = len(decoded)
    zeros = np.zeros(size)
    return Candidates(
        as_texts(["ascent"] * size),
        zeros.astype(int),
        np.arange(size),
        as_texts(decoded),
        zeros,
        np.array(predicted, float),
        np.full(size, stddev),
        as_texts(decoded),
        np.array(recomputed, float),
        np.linspace(0, 1, size),
        zeros,
        np.arange(size) == 1,
        np.zeros(size, bool),
    )


def captions_of(figure, word):
    lines = [t.replace("−", "-").split() for t in texts(figure) if t.startswith(word)]
    return [float(number) for _, number, *_ in lines if number != "too"]


@pytest.mark.parametrize(("goal", "sign"), [("maximize", 1), ("minimize", -1)])
def test_the_best_come_first_and_fooled_predictions_are_marked(goal, sign):
    smiles = ["C", "CC", "CCC", None, "CCCC"]
    recomputed = sign * np.array([1.0, 3.0, 2.0, np.nan, -5.0])
    predicted = sign * np.array([1.5, 1.0, 2.4, 9.0, 8.0])
    candidates = make_candidates(smiles, recomputed, predicted)
    figure = molecules.best_found(candidates, "logP", tolerance=1.0, goal=goal, best_training=2.5)
    found = captions_of(figure, "recomputed")
    assert found[:4] == [sign * value for value in (3.0, 2.0, 1.0, -5.0)]
    assert captions_of(figure, "predicted")[4:6] == [sign * 9, sign * 8]  # the best promises
    assert title(figure) == (
        f"Search in latent space to {goal} logP; the best training molecule that it knows has 2.5. "
        "Red: predicted too good by more than 1"
    )
    assert texts(figure)[1] == (
        "ascent: 5 candidates, 1 not a molecule, 1 predicted too good; the best by recomputed logP"
    )
    assert texts(figure).count("predicted too good") == 2  # once in each part
    colors = frames(figure)
    assert colors.count(RED) == 2
    assert colors[0] == BLUE  # in the training data


def test_searches_stand_beside_each_other():
    candidates = make_candidates(["C", "CC", "CCC"], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    candidates.method[:] = ["prior", "ascent", "prior"]
    figure = molecules.best_found(candidates, "logP", tolerance=1.0)
    headers = [t for t in texts(figure) if "candidate" in t]
    assert [header.split(",")[0] for header in headers] == [
        "prior: 2 candidates",
        "ascent: 1 candidate",
    ]
    assert captions_of(figure, "recomputed") == [3, 1, 2, 3, 2, 1]


def test_a_search_without_a_result():
    none = make_candidates([], [], [])
    assert len(texts(molecules.best_found(none, "QED", tolerance=0.1))) == 1  # the title
    invalid = make_candidates([None, "C1"], [np.nan] * 2, [1.0, 2.0], stddev=0.25)
    figure = molecules.best_found(invalid, "QED", tolerance=0.1)
    assert texts(figure).count("not a molecule") == 2
    assert "predicted 2.00 ± 0.25" in texts(figure)


def test_properties_have_their_distance():
    data, samples = [ASPIRIN, PHENOL, ETHANOL], [PHENOL, "C1", PEPTIDE]
    figure = molecules.property_histograms(data, samples)
    values = [properties(smiles)["logp"] for smiles in (data, samples)]
    names = [axes.get_title() for axes in figure.axes]
    assert names == ["logP", "QED", "SA score", "weight (g/mol)"]
    text = " ".join(figure.texts[0].get_text().split())
    assert text.startswith("Properties of test data and samples")
    assert f"Wasserstein distances: logP {wasserstein(*values):.2g}, QED" in text
    assert re.search(r", weight \d{2,3} g/mol$", text)  # not 1.1e+02
    molecules.property_histograms(data, ["C1"])
    molecules.property_histograms([None], [])


def test_odd_molecules_in_every_figure():
    smiles = [*ODD, *INVALID]
    molecules.samples(smiles, known=INVALID)
    molecules.reconstructions(ODD, INVALID)
    molecules.neighbors([paths.Neighborhood(PEPTIDE, smiles, np.arange(len(smiles)))])
    for start, end in itertools.pairwise(["C", PEPTIDE, "[He]"]):
        molecules.interpolations([paths.Interpolation(start, end, smiles, np.arange(len(smiles)))])
