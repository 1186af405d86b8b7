"""Metrics of molecules against hand-computed cases, brute force, scipy and published values."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from vae_jax.errors import InputError
from vae_jax.evaluation import molecules as m
from vae_jax.evaluation.molecules import counts, similarity

pytest.importorskip("rdkit")

SMILES = [
    "CCO",
    "c1ccccc1C(=O)O",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@@H](N)C(=O)O",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
]
MIXED = ["CCO", "OCC", "C1CC", None, "", "CC", "CCO name"]


def tanimoto(a, b):
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (a, b)]
    return DataStructs.TanimotoSimilarity(*prints)


def test_what_is_valid():
    parsed = m.parse([*MIXED, "C.C", "c1cccc1", "C\n", " C", "Ω", "C\x00C"])
    assert [molecule is not None for molecule in parsed] == [
        *(True, True, False, False, False, True, False),
        *(True, False, False, False, False, False),
    ]
    assert all(a is b for a, b in zip(m.parse(parsed), parsed, strict=True))
    assert m.canonical(["OCC", "C1CC", None]) == ["CCO", None, None]
    with pytest.raises(InputError, match=r"molecules\[1\] = nan: must be a SMILES"):
        m.parse(["CCO", math.nan])


def test_shares_by_hand():
    share = m.validity(MIXED)
    assert share.value == pytest.approx(3 / 7)
    assert share.stderr == pytest.approx(math.sqrt(3 / 7 * 4 / 7 / 7))
    assert m.uniqueness(MIXED) == pytest.approx(2 / 3)
    assert m.uniqueness(MIXED, 2) == pytest.approx(1 / 2)
    assert m.uniqueness(MIXED, 7) == pytest.approx(2 / 3)
    assert math.isnan(m.uniqueness(MIXED, 8))
    with pytest.raises(InputError, match="k = 0"):
        m.uniqueness(MIXED, 0)
    known = m.canonical_set(["OCC", "CCC", "C1CC", "OCC"])
    assert known == {"CCO", "CCC"}
    share = m.novelty(MIXED, known)  # CCO and CC, once each
    assert share == (pytest.approx(1 / 2), pytest.approx(math.sqrt(1 / 4 / 2)))
    with pytest.raises(InputError, match="the set that canonical_set returns"):
        m.novelty(MIXED, ["OCC"])


def test_stereoisomers_are_distinct_but_have_one_fingerprint():
    pair = ["C[C@@H](N)C(=O)O", "C[C@H](N)C(=O)O"]
    assert m.uniqueness(pair) == 1
    assert m.internal_diversity(pair) == 0


@pytest.mark.parametrize("p", [1, 2, 3])
def test_diversity_by_hand_and_by_brute_force(p, monkeypatch):
    bits = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], np.uint8)
    by_hand = 1 - ((1 + 1 + 2 * 0.5**p) / 4) ** (1 / p)
    assert similarity.diversity_of(bits, p=p) == pytest.approx(by_hand)
    pairs = [tanimoto(a, b) ** p for a in SMILES for b in SMILES]
    expected = 1 - np.mean(pairs) ** (1 / p)
    assert m.internal_diversity([*SMILES, "C1CC", None], p=p) == pytest.approx(expected)
    monkeypatch.setattr(similarity, "BLOCK", 1)
    assert m.internal_diversity(SMILES * 2, p=p) == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 1_000])
def test_nearest_by_brute_force(block, monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK", block)
    reference = ["C1CC", "CCN", "OC(=O)c1ccccc1", "CCCC", None, "CNC(=O)C", *["CCN"] * 12]
    table = np.array(
        [[tanimoto(a, b) if b and b != "C1CC" else -1 for b in reference] for a in SMILES]
    )
    nearest = m.nearest_neighbors([None, *SMILES], reference)
    assert nearest.position.tolist() == [-1, *table.argmax(1)]
    np.testing.assert_allclose(nearest.similarity[1:], table.max(1), rtol=1e-6)
    assert np.isnan(nearest.similarity[0])
    assert nearest.similarity[2] == 1  # benzoic acid, written in another way
    mean = m.nearest_similarity([None, *SMILES], reference)
    assert mean.value == pytest.approx(table.max(1).mean())
    assert mean.stderr == pytest.approx(table.max(1).std(ddof=1) / math.sqrt(6))


def test_cosines_of_fragments_and_scaffolds():
    assert counts.cosine(Counter(a=1, b=2), Counter(b=1, c=2)) == pytest.approx(2 / 5)
    assert counts.fragment_counts(["CCOCC", "C"]) == {"[3*]O[3*]": 1, "[4*]CC": 2, "C": 1}
    assert m.fragment_similarity(["CCOCC"], ["C", "CCOCC", "bad"]) == pytest.approx(
        5 / math.sqrt(5 * 6)
    )
    biphenyls = ["Cc1ccc(cc1)-c1ccccc1", "Clc1ccccc1-c1ccccc1"]
    one_ring, chain = "Cc1ccccc1", "CCCC"
    assert counts.scaffold_counts([*biphenyls, one_ring, chain, None]) == {"c1ccc(-c2ccccc2)cc1": 2}
    naphthalene = "c1ccc2ccccc2c1"
    assert m.scaffold_similarity(biphenyls, [naphthalene, biphenyls[0]]) == pytest.approx(
        1 / math.sqrt(2)
    )
    assert m.scaffold_similarity(biphenyls, biphenyls) == pytest.approx(1)
    assert math.isnan(m.scaffold_similarity(biphenyls, [one_ring]))


def test_filters_are_named_for_what_they_are():
    nitrobenzene, rhodanine = "O=[N+]([O-])c1ccccc1", "O=C1NC(=S)SC1=Cc1ccccc1"
    shares = m.filters(["CCO", nitrobenzene, rhodanine, "bad"])
    assert shares.keys() == {"BRENK", "PAINS"}
    assert shares["PAINS"].value == pytest.approx(2 / 3)
    assert m.filters([nitrobenzene, "CCO"], ["BRENK"])["BRENK"].value == 1 / 2
    with pytest.raises(InputError, match=r"unknown; allowed are .* did you mean 'BRENK'"):
        m.filters(["CCO"], ["BRENC"])


def test_radicals_and_large_rings_are_shares_of_valid_molecules():
    share = m.radicals(["[CH2]C", "CCO", "C[N+](C)(C)C", "bad", "O=[N+]([O-])C"])
    assert share.value == 1 / 4
    assert share.stderr == pytest.approx(math.sqrt(1 / 4 * 3 / 4 / 4))
    naphthalene, cyclooctane, cycloheptane = "c1ccc2ccccc2c1", "C1CCCCCCC1", "C1CCCCCC1"
    rings = [naphthalene, cyclooctane, cycloheptane, None, "CCCCCCCCC"]
    assert m.large_rings(rings).value == 1 / 4
    assert m.large_rings(rings, 7).value == 2 / 4
    assert math.isnan(m.radicals(["bad"]).value)


def test_properties_have_published_values():
    methane, ethanol = "C", "CCO"
    values = m.properties([methane, None, ethanol, "C1CC"])
    assert values.keys() == {"logp", "qed", "sa", "weight"}
    assert all(np.isnan(v[[1, 3]]).all() and np.isfinite(v[[0, 2]]).all() for v in values.values())
    # Contributions of Wildman and Crippen: C1, C3, O2, hydrogen on C (H1) and on O (H2).
    c1, c3, o2, h1, h2 = 0.1441, -0.2035, -0.2893, 0.1230, -0.2677
    assert values["logp"][0] == pytest.approx(c1 + 4 * h1)
    assert values["logp"][2] == pytest.approx(c1 + c3 + o2 + 5 * h1 + h2)
    assert values["weight"][2] == pytest.approx(2 * 12.011 + 6 * 1.008 + 15.999, abs=1e-3)
    # Scores that are distributed with the method.
    scores = {
        "Cc1c(C(=O)NCCO)[n+](=O)c2ccccc2n1[O-]": 3.166,
        "OC(c1ccncc1)c1ccc(OCC[NH+]2CCCC2)cc1": 3.822,
    }
    assert m.properties(list(scores), ["sa"])["sa"] == pytest.approx([*scores.values()], abs=1e-3)
    with pytest.raises(InputError, match=r"names = 'loqp': unknown; .* did you mean 'logp'"):
        m.properties(["C"], ["loqp"])


def test_wasserstein_is_scipys():
    rng = np.random.default_rng(0)
    for size in (1, 7, 50):
        x, y = rng.normal(size=size), np.round(rng.normal(1, 2, size=30), 1)  # with ties
        assert m.wasserstein(x, y) == pytest.approx(scipy.stats.wasserstein_distance(x, y))
    assert m.wasserstein([2.0], [5.0, 5.0]) == 3
    assert m.wasserstein([0.0, math.nan, 4.0], [1.0, 5.0]) == 1
    assert math.isnan(m.wasserstein([math.nan], [1.0]))


@pytest.mark.parametrize("samples", [[], [None, "", "C1CC"]])
def test_nothing_valid_has_no_numbers(samples):
    nothing, reference = m.describe(samples), m.describe(SMILES)
    numbers = m.compare(nothing, reference, m.canonical_set(SMILES))
    if samples:
        assert numbers.pop("validity") == (0, 0.5 / (len(samples) + 1))  # by Wilson
    assert all(np.isnan(value).all() for value in numbers.values())
    against = m.compare(reference, nothing, frozenset())
    for name in ("nearest", "fragment", "scaffold"):
        assert np.isnan(against[f"{name}_similarity"]).all()
    assert math.isnan(against["wasserstein_qed"])


def test_all_numbers_of_one_and_of_repeated_molecules():
    reference = m.describe(SMILES)
    one = m.compare(m.describe(["OCC"]), reference, m.canonical_set(SMILES))
    assert one["validity"].value == one["uniqueness"] == 1
    assert one["novelty"].value == 0
    assert one["nearest_similarity"].value == 1
    assert math.isnan(one["internal_diversity"])
    assert math.isnan(one["uniqueness_1000"])
    again = m.compare(m.describe(["CCO", "OCC"] * 500), reference, frozenset())
    assert again["uniqueness_1000"] == again["uniqueness"] == 1 / 1000
    assert again["internal_diversity"] == again["internal_diversity_2"] == 0
    assert again["novelty"] == (1, 0.25)  # of a single molecule, by Wilson
    same = m.compare(reference, reference, frozenset())
    assert same["fragment_similarity"] == pytest.approx(1)
    assert same["wasserstein_logp"] == same["wasserstein_weight"] == 0
    assert same["nearest_similarity"] == (1, 0)
