"""Alphabets: every line comes back from its numbers, and what the alphabet lacks is named."""

import gzip
import json
import os
import pathlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_jax.data import optional
from vae_jax.data.optional import import_rdkit, import_selfies
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.lines import read_lines
from vae_jax.data.text.smiles import explain_malformed, split_smiles
from vae_jax.data.text.tokens import KINDS, tokenize
from vae_jax.errors import InputError

EMBEDDED = pathlib.Path(optional.__file__).parent / "text" / "molecules.smi"
ZINC = pathlib.Path(os.environ.get("VAE_JAX_DATA", "")) / "raw" / "zinc250k"


@pytest.fixture(scope="module")
def molecules():
    return read_lines(str(EMBEDDED), "smiles").texts


@pytest.mark.parametrize(
    ("smiles", "tokens"),
    [
        ("CCl", ["C", "Cl"]),
        ("BrCc", ["Br", "C", "c"]),
        ("B(C)r", ["B", "(", "C", ")", "r"]),
        ("C[C@@H](N)O", ["C", "[C@@H]", "(", "N", ")", "O"]),
        ("[13CH3]Clc1", ["[13CH3]", "Cl", "c", "1"]),
        ("C%12C%(123)C1%120", ["C", "%12", "C", "%(123)", "C", "1", "%12", "0"]),
        ("[Cl-].[Na+]", ["[Cl-]", ".", "[Na+]"]),
        ("C[C", ["C", "[", "C"]),
        ("", []),
    ],
)
def test_tokens_of_smiles(smiles, tokens):
    assert split_smiles(smiles) == tokens


@pytest.mark.parametrize(
    ("smiles", "fault"),
    [
        ("C[NH3+", "'[' without ']'"),
        ("CN]", "']' without '['"),
        ("CC(C", "'(' without ')'"),
        ("CCC)", "')' without '('"),
        ("C%1C", "'%' without"),
        ("C[]C", "brackets that are no atom"),
        ("[C][=O]", "brackets that are no atom"),
        ("C[Branch1]C", "brackets that are no atom"),
        ("CCO,ethanol", "',' at 3 is no symbol"),
        ("logP", "'l' at 0 is no symbol"),
        ("C%12C(=O)[nH]", None),
        ("[13CH3][N+](C)(C)[C@@H]1[O-]>>[Cu++].[Fe+2]*[se][C@TH1H][*:1]$C", None),
    ],
)
def test_faults_of_smiles(smiles, fault):
    found = explain_malformed(smiles)
    assert found is None if fault is None else found.startswith(fault)


def test_a_row_without_an_end_is_incomplete():
    alphabet = Alphabet("smiles", ("C", "O"))
    rows = np.array([[2, 2, 1, 0], [2, 2, 2, 2], [1, 0, 0, 0]], np.float32)
    assert alphabet.decode_complete(rows) == ["CC", None, ""]


def test_a_row_is_its_tokens_the_end_and_padding():
    alphabet = Alphabet("smiles", ("C", "Cl", "[nH]"))
    assert alphabet.size == 5
    assert alphabet.encode("Cl[nH]C") == [3, 4, 2, 1]
    rows = alphabet.encode_lines(["Cl[nH]C", "", "C"], 4)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[3, 4, 2, 1], [1, 0, 0, 0], [2, 1, 0, 0]]
    assert alphabet.decode_rows(rows) == ["Cl[nH]C", "", "C"]
    assert alphabet.decode([3, 0, 2]) == "Cl"  # stops at padding too
    assert alphabet.decode([3, 3, 2]) == "ClClC"  # and where the row ends
    assert alphabet.encode_lines([], 4).shape == (0, 4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_every_text_comes_back(lines):
    alphabet = Alphabet.of_lines("characters", lines)
    length = max(map(len, lines)) + 1
    rows = alphabet.encode_lines(lines, length)
    assert alphabet.decode_rows(rows) == lines
    assert Alphabet.from_json(json.loads(json.dumps(alphabet.to_json()))) == alphabet
    assert [alphabet.encode(line) for line in lines] == [
        row[: len(line) + 1].astype(int).tolist() for row, line in zip(rows, lines, strict=True)
    ]


@pytest.mark.parametrize("kind", ["characters", "smiles"])
def test_every_embedded_molecule_comes_back(kind, molecules):
    alphabet = Alphabet.of_lines(kind, molecules)
    assert alphabet.decode_rows(alphabet.encode_lines(molecules, 60)) == molecules


def test_every_embedded_molecule_comes_back_from_selfies(molecules):
    """As the same molecule, for SELFIES write it in another way."""
    pytest.importorskip("selfies")
    pytest.importorskip("rdkit")
    some = molecules[::5]
    alphabet = Alphabet.of_lines("selfies", some)
    decoded = alphabet.decode_rows(alphabet.encode_lines(some, 60))
    assert [canonical(smiles) for smiles in decoded] == some
    # Numbers at random are a molecule too.
    rows = np.random.default_rng(0).integers(2, alphabet.size, (20, 12))
    assert all(canonical(smiles) is not None for smiles in alphabet.decode_rows(rows))


def canonical(smiles):
    chem = import_rdkit()
    molecule = chem.MolFromSmiles(smiles)
    return None if molecule is None else chem.MolToSmiles(molecule)


@pytest.mark.skipif(not ZINC.is_dir(), reason="VAE_JAX_DATA has no raw/zinc250k")
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_zinc_comes_back(kind):
    with gzip.open(ZINC / "250k_rndm_zinc_drugs_clean.smi.gz", "rt") as file:
        lines = file.read().splitlines()
    assert len(lines) == 249_456
    if kind == "selfies":
        pytest.importorskip("selfies")
        pytest.importorskip("rdkit")
    alphabet = Alphabet.of_lines(kind, lines)
    decoded = []
    for start in range(0, len(lines), 50_000):
        part = lines[start : start + 50_000]
        decoded += alphabet.decode_rows(alphabet.encode_lines(part, 121))
    if kind != "selfies":
        assert decoded == lines
        return
    wrong = [a for a, b in zip(lines, decoded, strict=True) if canonical(a) != canonical(b)]
    assert not wrong


def test_an_unknown_token_is_named_with_its_line():
    alphabet = Alphabet("smiles", ("C", "Cl", "N"))
    with pytest.raises(InputError) as error:
        alphabet.encode_lines(["CC", "", "CClNBrC", "N", "OO"], 9, lambda i: f"line {i + 10}")
    message = str(error.value)
    assert message.startswith("line 12 is 'CClNBrC': token 'Br' is not in the alphabet")
    assert "(2 such lines)" in message
    assert "C Cl N" in message
    with pytest.raises(InputError, match="token 'O'") as error:
        alphabet.encode_lines(["CO"], 9)
    assert "such" not in str(error.value)


def test_a_line_that_is_too_long_is_named():
    alphabet = Alphabet("characters", ("a",))
    with pytest.raises(InputError) as error:
        alphabet.encode_lines(["a", "aaa", "aa", "aaaa"], 3)
    message = str(error.value)
    assert message.startswith("max_length = 3: text 1 is 'aaa', of 3 tokens, and needs 4 with")
    assert "(2 such lines)" in message
    assert message.endswith("the longest needs 5")


@pytest.mark.parametrize("value", [-1, 3, 0.5, np.nan, np.inf])
def test_numbers_that_are_no_tokens_are_named(value):
    with pytest.raises(InputError, match=r"must be a token number, an integer from 0 to 2"):
        Alphabet("characters", ("a",)).decode([2, value])


def test_a_kind_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"alphabet = 'smile': unknown.*did you mean 'smiles'"):
        tokenize("smile", ["C"])


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "words", "tokens": []},
        {"kind": "smiles", "tokens": ["C", "C"]},
        {"kind": "smiles", "tokens": [""]},
        {"kind": "smiles"},
        {"tokens": ["C"]},
    ],
)
def test_a_damaged_alphabet_is_an_error(values):
    with pytest.raises(ValueError, match="damaged alphabet"):
        Alphabet.from_json(values)
    with pytest.raises(TypeError, match="alphabet = True"):
        Alphabet.from_json(True)


def test_molecules_without_selfies_are_named():
    pytest.importorskip("selfies")
    with pytest.raises(InputError, match=r"text 1 is 'xCC': .*\(2 such lines\)"):
        Alphabet.of_lines("selfies", ["C", "xCC", "CC", "C1CC"])


@pytest.mark.parametrize("name", ["rdkit", "selfies"])
def test_a_missing_package_is_named_with_its_command(name, monkeypatch):
    import_rdkit.cache_clear()
    for module in [key for key in sys.modules if key.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"{name} is not installed.*vae_jax\[molecules\]"):
        import_rdkit() if name == "rdkit" else import_selfies()
