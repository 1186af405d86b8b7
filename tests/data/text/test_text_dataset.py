"""Data sets of lines: files, splits, what is named if it is wrong, and the embedded molecules."""

import gzip
import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vae_jax.data import load
from vae_jax.data.identity import check_same_data, data_identity
from vae_jax.data.kinds import kind_of
from vae_jax.data.optional import import_rdkit
from vae_jax.data.splits import CUT_TEST_RULE, SPLITS
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.dataset import load_lines, load_text
from vae_jax.data.text.lines import iterate_lines, read_lines
from vae_jax.data.text.tokens import KINDS
from vae_jax.errors import InputError

LINES = ["CCO", "c1ccccc1Br", "C[NH3+]", "CC(=O)N", "ClC", "CCC", "CCCC", "N", "OO", "CN"]


CONTENT = "\n".join(LINES) + "\n"


def write(tmp_path, content=CONTENT, name="mine.smi"):
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def texts_of(dataset, split):
    return dataset.text.decode_rows(np.asarray(getattr(dataset, split).images))


def all_texts(dataset):
    return [text for split in SPLITS for text in texts_of(dataset, split)]


def test_every_line_is_in_one_split_with_its_number(tmp_path):
    dataset = load("text", path=write(tmp_path))
    assert dataset.name == "text mine.smi"
    assert dataset.text.kind == "smiles"
    for split in SPLITS:
        numbers = dataset.row_ids[split]
        assert texts_of(dataset, split) == [LINES[number - 1] for number in numbers]
    assert sorted(np.concatenate(list(dataset.row_ids.values()))) == list(range(1, 11))
    assert dataset.preparation["test"] == CUT_TEST_RULE
    assert dataset.test.num_examples == 2


def test_a_batch_has_numbers_and_the_mask_of_the_length(tmp_path):
    dataset = load("text", path=write(tmp_path))
    assert dataset.shape == (10,)  # c1ccccc1Br has nine tokens
    assert dataset.train.images.dtype == np.uint8
    batch = dataset.train.take(jnp.arange(dataset.train.num_examples), jax.random.key(0))
    assert batch["x"].dtype == jnp.float32
    expected = dataset.text.encode_lines(texts_of(dataset, "train"), 10)
    np.testing.assert_array_equal(batch["x"], expected)
    np.testing.assert_array_equal(batch["observed"], expected > 0)
    lengths = [len(dataset.text.encode(text)) for text in texts_of(dataset, "train")]
    assert batch["observed"].sum(1).tolist() == lengths
    assert dataset.train.value_range == (0, dataset.text.size - 1)
    assert kind_of(dataset.shape, dataset.preparation) == "tokens"


def test_the_alphabet_is_of_all_lines(tmp_path, caplog):
    path = write(tmp_path, "\n".join(["ab"] * 8 + ["xy"] + ["cd"]), "mine.txt")
    np.save(tmp_path / "split.npy", [0] * 8 + [1, 2])
    with caplog.at_level(logging.WARNING):
        dataset = load_text(path, split_path=str(tmp_path / "split.npy"))
    assert dataset.text == Alphabet("characters", tuple("abcdxy"))
    assert "no line of train has 'c', 'd', 'x', 'y'" in caplog.text
    assert texts_of(dataset, "valid") == ["xy"]
    assert "every split" in dataset.preparation["alphabet"]
    assert dataset.preparation["text"] == dataset.text.to_json()
    json.dumps(dataset.preparation)


def test_more_than_256_tokens_are_stored_in_two_bytes(tmp_path):
    characters = [chr(0x4E00 + i) for i in range(300)]
    dataset = load_text(write(tmp_path, "\n".join(characters), "mine.txt"))
    assert dataset.text.size == 302
    assert dataset.train.images.dtype == np.uint16
    assert sorted(all_texts(dataset)) == characters


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("a b\r\n\r\n c\n\t\nd", "mine.txt", [(1, "a b", ""), (3, " c", ""), (5, "d", "")]),
        (b"\xef\xbb\xbfa\n\xc3\xa4\n", "mine.txt", [(1, "a", ""), (2, "ä", "")]),
        ("C  one\nCC\ttwo words\n", "mine.smi", [(1, "C", "one"), (2, "CC", "two words")]),
        ("\nSMILES name\nC\n", "mine.smi.gz", [(3, "C", "")]),
        ("C\nsmiles\n", "mine.smi.gz", [(1, "C", ""), (2, "smiles", "")]),
        ("a\x85b\u2028c\n", "mine.txt.gz", [(1, "a\x85b\u2028c", "")]),
    ],
)
def test_lines_of_a_file(content, name, expected, tmp_path):
    assert list(iterate_lines(write(tmp_path, content, name), "characters")) == expected


def test_fields_are_of_the_alphabet_too(tmp_path):
    path = write(tmp_path, "smiles\nC one\nCC\n", "mine.txt")
    assert read_lines(path, "smiles").texts == ["C", "CC"]
    assert read_lines(path, "characters").texts == ["smiles", "C one", "CC"]


def test_an_omitted_header_is_logged(tmp_path, caplog):
    path = write(tmp_path, "SMILES\tname\nCCO\tethanol\n")
    with caplog.at_level(logging.INFO):
        assert read_lines(str(path), "smiles").texts == ["CCO"]
    assert "mine.smi: line 1 is a header, omitted: 'SMILES\\tname'" in caplog.text
    assert str(tmp_path) not in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"C\nC\xffC\n\nC\xfe\nC\xfd", r"mine.smi: line 2 is not UTF-8 \(.*\(3 such lines\)"),
        (b"C\xff\nC\n\n", r"mine.smi: line 1 is not UTF-8 \(byte 0xff at 1\); save .* UTF-8$"),
        (b"C\n\nC[NH3+\nCC(\n", r"mine.smi: line 3 is 'C\[NH3\+', .* without .*\(2 such lines\)"),
        (b"\n \n", "has no lines with text"),
        (b"C\nCC\n", "has 2 lines; at least 5"),
    ],
)
def test_malformed_lines_are_named(content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load("text", path=write(tmp_path, content))


CONTENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [b"C", b"CCl", b"c1ccccc1", b"[nH]", b"smiles", b"C\xff", b"", b" ", b"C(", b"%"]
        ),
        st.binary(max_size=6),
    ),
    min_size=4,
    max_size=12,
).map(b"\n".join)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CONTENTS, st.sampled_from(["mine.smi", "mine.txt"]), st.sampled_from(KINDS[:2]))
def test_any_file_is_read_or_its_fault_is_named(tmp_path, content, name, alphabet):
    path = write(tmp_path, content, name)
    try:
        dataset = load_text(path, alphabet=alphabet, valid_fraction=0.4)
    except InputError as error:
        assert "mine" in str(error)  # noqa: PT017
        return
    rows = content.split(b"\n")
    for split in SPLITS:
        for text, number in zip(texts_of(dataset, split), dataset.row_ids[split], strict=True):
            row = rows[number - 1].removeprefix(b"\xef\xbb\xbf" if number == 1 else b"")
            has_fields = name.endswith(".smi") or alphabet == "smiles"
            expected = row.split(None, 1)[0] if has_fields else row.rstrip(b"\r")
            assert text.encode() == expected


def test_lines_that_are_too_long_are_named(tmp_path):
    path = write(tmp_path)
    assert load("text", path=path, max_length=20).shape == (20,)
    with pytest.raises(InputError) as error:
        load("text", path=path, max_length=6)
    message = str(error.value)
    assert message.startswith("max_length = 6: mine.smi: line 2 is 'c1ccccc1Br', of 9")
    assert "(2 such lines); the longest needs 10" in message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "must name a file of lines"),
        ("none.smi", "no such file"),
        (".", "not a regular file"),
        ("mine.csv", "must be the name of a file of lines.*save the column of texts alone"),
        ("bad.smi.gz", "not readable"),
    ],
)
def test_files_that_cannot_be_read_are_named(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "C,1\n", "mine.csv")
    (tmp_path / "bad.smi.gz").write_bytes(b"C\nC\n")
    with pytest.raises(InputError, match=message):
        load("text", path=path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_given_split(suffix, tmp_path):
    split = np.array([0, 0, 1, 0, 2, 0, 0, 1, 2, 0], np.uint8)
    path = tmp_path / f"split.{suffix}"
    if suffix == "npy":
        np.save(path, split)
    else:
        np.savez(path, other=split * 0, split=split)
    dataset = load("text", path=write(tmp_path), split_path=str(path))
    for number, name in enumerate(SPLITS):
        assert (dataset.row_ids[name] == np.flatnonzero(split == number) + 1).all()
    assert dataset.preparation["test"] == f"array split.{suffix}"


def test_a_split_that_is_not_given_is_cut_from_train(tmp_path):
    np.save(tmp_path / "split.npy", [2, 2, 2, *[0] * 7])
    dataset = load(
        "text", path=write(tmp_path), split_path=str(tmp_path / "split.npy"), valid_fraction=0.3
    )
    assert dataset.row_ids["test"].tolist() == [1, 2, 3]
    assert (dataset.train.num_examples, dataset.valid.num_examples) == (5, 2)
    assert "of 7 train examples" in dataset.preparation["validation"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([0, 1, 2], r"has shape \(3,\); must be \(10,\).*without 1 blank lines or headers"),
        ([[0]] * 10, r"has shape \(10, 1\)"),
        ([0.0] * 10, "dtype float64; must be integers"),
        ([0] * 4 + [3] + [0] * 5, "has the value 3 for line 6; must be 0"),
        ([2] * 10, "no line is of train"),
        (["a"] * 10, "must be integers"),
    ],
)
def test_a_wrong_split_is_named(split, message, tmp_path):
    np.save(tmp_path / "split.npy", split)
    path = write(tmp_path, "\n" + "\n".join(LINES))
    with pytest.raises(InputError, match=rf"^split_path = '.*split.npy': .*{message}"):
        load("text", path=path, split_path=str(tmp_path / "split.npy"))


def test_a_split_that_cannot_be_read_is_named(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros(10), b=np.zeros(10))
    (tmp_path / "text.npy").write_text("0 1 2")
    path = write(tmp_path)
    for name, message in (
        ("two.npz", "an array named 'split'"),
        ("text.npy", "not a readable"),
        ("none.npy", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            load("text", path=path, split_path=str(tmp_path / name))


def test_lines_of_two_splits_are_counted(tmp_path, caplog):
    lines = ["a", "b", "c", "a", "d", "a", "d", "e"]
    np.save(tmp_path / "split.npy", [0, 0, 0, 1, 1, 2, 2, 2])
    with caplog.at_level(logging.WARNING):
        dataset = load_text(
            write(tmp_path, "\n".join(lines), "mine.txt"), split_path=str(tmp_path / "split.npy")
        )
    assert dataset.preparation["repeated"] == {"valid": 1, "test": 2}
    assert "1 of the 2 lines of valid are also lines of train;" in caplog.text
    assert "2 of the 3 lines of test are also lines of train or valid;" in caplog.text


@pytest.mark.parametrize(
    "options", [{"values": "counts"}, {"binarization": "static"}, {"streaming": True}]
)
def test_options_that_lines_lack_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        load("molecules", **options)


def test_other_alphabets_are_other_data_with_the_same_test_lines(tmp_path):
    path = write(tmp_path)
    smiles, characters = (load("text", path=path, alphabet=k) for k in ("smiles", "characters"))
    a, b = smiles.preparation, characters.preparation
    assert a["test_sha256"] == b["test_sha256"]
    assert a["sha256"] != b["sha256"]
    with pytest.raises(InputError, match="was trained on other data"):
        check_same_data(data_identity(smiles), data_identity(characters), "workdir")
    check_same_data(data_identity(smiles), data_identity(load("text", path=path)), "workdir")


def test_lines_are_read_with_the_alphabet_of_another_file(tmp_path):
    own = load("text", path=write(tmp_path))
    path = write(tmp_path, "CC\nBrN\n", "other.smi")
    source = load_lines(path, own.text, own.shape[0])
    assert own.text.decode_rows(np.asarray(source.images)) == ["CC", "BrN"]
    path = write(tmp_path, "CC\n\nFF\nF\n", "other.smi")
    with pytest.raises(InputError, match=r"other.smi: line 3 is 'FF': token 'F' .*\(2 such lines"):
        load_lines(path, own.text, own.shape[0])


def test_the_embedded_molecules():
    dataset = load("molecules")
    assert dataset.name == "molecules"
    assert dataset.text.kind == "smiles"
    sizes = [getattr(dataset, split).num_examples for split in SPLITS]
    assert sizes == [360, 40, 100]
    assert dataset.shape == (51,)
    assert set(dataset.text.tokens) >= {"Cl", "Br", "[nH]", "[N+]", "[O-]"}
    assert dataset.preparation["repeated"] == {"valid": 0, "test": 0}
    assert load("molecules", alphabet="characters", max_length=60).shape == (60,)


def test_the_embedded_molecules_are_drugs_in_canonical_form():
    pytest.importorskip("rdkit")
    chem = import_rdkit()
    from rdkit.Chem.Descriptors import MolWt

    dataset = load("molecules")
    molecules = all_texts(dataset)
    assert len(set(molecules)) == 500
    for smiles in molecules:
        molecule = chem.MolFromSmiles(smiles)
        assert chem.MolToSmiles(molecule) == smiles
        assert 150 <= MolWt(molecule) <= 400
