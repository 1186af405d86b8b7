"""The modes that answer for every row, for lines of text."""

import csv
import gzip
import json
import logging

import jax
import numpy as np
import pytest

import vae_jax
from vae_jax import main  # noqa: F401  # defines the flags
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.experiment.rows import answers
from vae_jax.experiment.rows import run as rows_run
from vae_jax.experiment.rows.options import RowOptions
from vae_jax.experiment.rows.run import answer_rows

FILE = "smiles name\nCCN one\n\nClC two\r\n[nH] three\nCCCC"
TEXTS, NUMBERS = ["CCN", "ClC", "[nH]", "CCCC"], ["2", "4", "5", "6"]
NAMES = ["one", "two", "three", ""]


@pytest.fixture
def text(runs):
    return runs("text")


@pytest.fixture
def data(tmp_path):
    (tmp_path / "mine.smi").write_text(FILE)
    return str(tmp_path / "mine.smi")


def answer(mode, workdir, tmp_path, name="out.csv", **options):
    path = answer_rows(mode, workdir, RowOptions(output=str(tmp_path / name), **options))
    return list(csv.DictReader(open(path))) if path.suffix == ".csv" else path


def keys(model):
    return jax.random.split(jax.random.key(model.config.evaluation.seed), 3)


def test_scores_stand_beside_the_lines(text, data, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        lines = answer("score", text, tmp_path, data=data, draws=3)
    assert [line["smiles"] for line in lines] == TEXTS
    assert [line["line"] for line in lines] == NUMBERS
    assert [line["name"] for line in lines] == NAMES
    model = vae_jax.load(text)
    expected = model.explain(keys(model)[1], TEXTS, num_samples=3)
    for name in ("elbo", "log_px", "distortion", "rate"):
        values = np.float32([line[name] for line in lines])
        np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-5)
    assert "flags also depend" not in caplog.text
    tokens = [len(model.inputs.text.encode(line)) for line in TEXTS]
    assert [line["tokens"] for line in lines] == [str(count) for count in tokens]
    reference = json.loads((text / "score.json").read_text())
    assert reference["per_token"]
    limit = reference["threshold"]
    flags = [str(bool(-x / n > limit)) for x, n in zip(expected.log_px, tokens, strict=True)]
    assert [line["flag"] for line in lines] == flags


def test_a_score_of_lines_has_fewer_draws_and_a_smaller_reference(
    text, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(answers, "MAX_REFERENCE_LINES", 3)
    answer("score", text, tmp_path, data=data)
    stored = json.loads((text / "score.json").read_text())
    assert (stored["draws"], stored["num_rows"]) == (10, 3)


def test_codes_stand_beside_the_lines(text, data, tmp_path):
    lines = answer("encode", text, tmp_path, data=data)
    assert [line["smiles"] for line in lines] == TEXTS
    q = vae_jax.load(text).encode(TEXTS)
    z = np.float32([[line["z_0"], line["z_1"]] for line in lines])
    np.testing.assert_allclose(z, q.mean, rtol=1e-5)
    with np.load(answer("encode", text, tmp_path, "out.npz", data=data)) as file:
        assert file["smiles"].tolist() == TEXTS
        assert file["line"].tolist() == [2, 4, 5, 6]
        np.testing.assert_array_equal(file["z"], z)


def test_codes_in_parquet(text, data, tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.read_parquet(answer("encode", text, tmp_path, "out.parquet", data=data))
    assert frame["smiles"].tolist() == TEXTS
    assert frame["line"].tolist() == [2, 4, 5, 6]


def test_the_test_split_has_the_numbers_of_its_lines(text, tmp_path):
    lines = answer("encode", text, tmp_path)
    assert len(lines) == 12
    file = (text.parent / "text.smi").read_text().splitlines()
    for line in lines:
        assert file[int(line["line"]) - 1] == f"{line['smiles']} {line['name']}"
    assert answer_rows("encode", text, RowOptions(overwrite=True)) == text / "encode.csv"


def test_a_name_is_all_that_follows_a_molecule(text, tmp_path):
    rows = [b"CCN \t 64-17-5  ethyl amine \r\n", 'ClC\tMéthyl, "x"\n'.encode(), b"CCCC\n"]
    (tmp_path / "mine.smi").write_bytes(b"".join(rows))
    lines = answer("score", text, tmp_path, data=str(tmp_path / "mine.smi"), draws=1)
    assert [line["name"] for line in lines] == ["64-17-5  ethyl amine", 'Méthyl, "x"', ""]
    (tmp_path / "bare.smi").write_text("CCN\nClC\n")
    lines = answer("score", text, tmp_path, "bare.csv", data=str(tmp_path / "bare.smi"), draws=1)
    assert "name" not in lines[0]


def test_reconstructions_stand_beside_the_lines_or_alone(text, data, tmp_path):
    lines = answer("reconstruct", text, tmp_path, data=data)
    assert [line["smiles"] for line in lines] == TEXTS
    model = vae_jax.load(text)
    expected = model.text(model.reconstruct(TEXTS))
    assert [line["reconstruction"] for line in lines] == expected
    for name in ("out.smi", "out.txt"):
        path = answer("reconstruct", text, tmp_path, name, data=data)
        assert path.read_text() == "".join(f"{line}\n" for line in expected)


def test_samples_are_lines(text, tmp_path):
    path = answer_rows("sample", text, RowOptions(num_samples=5))
    assert path == text / "sample.smi"
    texts = path.read_text().split("\n")
    assert texts[-1] == ""
    model = vae_jax.load(text)
    key = jax.random.fold_in(jax.random.key(model.config.evaluation.seed), 0)
    assert texts[:5] == model.text(model.sample(key, 256, draws=True))[:5]
    means = answer("sample", text, tmp_path, num_samples=3, means=True)
    assert [line["smiles"] for line in means] == model.text(model.sample(key, 256))[:3]


def test_parts_of_a_file_change_nothing(text, tmp_path, monkeypatch):
    with gzip.open(tmp_path / "mine.smi.gz", "wt") as file:
        file.writelines(f"{line}\n" for line in TEXTS * 70)
    options = {"data": str(tmp_path / "mine.smi.gz"), "draws": 1}
    whole = answer("score", text, tmp_path, "a.csv", **options)
    monkeypatch.setattr(rows_run, "CALL_BLOCKS", 1)
    parts = answer("score", text, tmp_path, "b.csv", **options)
    assert len(parts) == 280
    assert parts == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("C\nCBrC\n\nBr", r"mine.smi: line 2 is 'CBrC': token 'Br' .*\(2 such lines\)"),
        ("C\nC[nH", r"mine.smi: line 2 is 'C\[nH', no SMILES"),
        ("N\n" + "C" * 9, r"config.data.max_length = 6: mine.smi: line 2 is .* needs 10"),
        ("\n\n", r"data = .*mine.smi': has no lines with text"),
    ],
)
def test_wrong_lines_are_named_before_any_answer(content, message, text, data, tmp_path):
    (tmp_path / "mine.smi").write_text(content)
    with pytest.raises(InputError, match=message):
        answer("encode", text, tmp_path, data=data)
    assert not (tmp_path / "out.csv").exists()


def test_counts_of_wrong_lines_are_of_the_whole_file(text, data, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_jax.experiment.rows.text_reading.PART", 2)
    (tmp_path / "mine.smi").write_text("C\n" * 5 + "Br\nC\nBr\nC\nBr\n")
    with pytest.raises(InputError, match=r"line 6 is 'Br': .*\(3 such lines\)"):
        answer("encode", text, tmp_path, data=data)


def test_what_lines_do_not_support_is_refused(text, data, runs, tmp_path):
    with pytest.raises(UnsupportedError, match="--mode=impute: lines of text have no missing"):
        answer_rows("impute", text, RowOptions(data=data, output=str(tmp_path / "out.csv")))
    with pytest.raises(InputError, match=r"must end with \.csv .*NumPy\); did"):
        answer_rows("score", text, RowOptions(data=data, output=str(tmp_path / "out.smi")))
    with pytest.raises(InputError, match=r"must end with .*\.smi \(SMILES\)"):
        answer_rows("sample", text, RowOptions(output=str(tmp_path / "out.pdf")))
    np.save(tmp_path / "x.npy", np.zeros((2, 6)))
    with pytest.raises(InputError, match="must be the name of a file of lines"):
        answer("encode", text, tmp_path, data=str(tmp_path / "x.npy"))
    with pytest.raises(InputError, match="must end with"):
        answer_rows("sample", runs("table"), RowOptions(output=str(tmp_path / "out.smi")))
