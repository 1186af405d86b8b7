"""Answers for tables of several kinds, with names, identifiers and missing values."""

import csv
import itertools
import pathlib

import jax
import numpy as np
import pytest

import vae_jax
from vae_jax.data.inputs import Inputs
from vae_jax.data.tables import TableColumn, TableSchema, encode_frame
from vae_jax.errors import InputError
from vae_jax.experiment.rows.options import RowOptions
from vae_jax.experiment.rows.run import answer_rows
from vae_jax.experiment.rows.table_reading import open_table

pytest.importorskip("pandas")

NUMBERS = itertools.count()


@pytest.fixture
def mixed(runs):
    return runs("mixed")


def read(path):
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return list(csv.DictReader(file))
    import pandas as pd

    return pd.read_parquet(path).to_dict("records")


def answer(mode, workdir, tmp_path, suffix=".csv", **options):
    output = tmp_path / f"out{next(NUMBERS)}{suffix}"
    return read(answer_rows(mode, workdir, RowOptions(output=str(output), **options)))


def change(path, lines, target):
    """Copy a CSV file with other values: lines by identifier, values by column."""
    rows = read(path)
    for row in rows:
        row.update(lines.get(row["patient_id"], {}))
    with open(target, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(target)


def test_scores_by_identifier_with_the_names_of_columns(mixed, tmp_path):
    path = mixed.parent / "mixed.csv"
    changed = {"p0003": {"visits": "900", "age": "50"}, "p0005": {"age": "600"}}
    data = change(path, changed, tmp_path / "data.csv")
    scores = answer("score", mixed, tmp_path, data=data, draws=20)
    assert [row["patient_id"] for row in scores] == [f"p{number:04d}" for number in range(150)]
    assert (scores[3]["top_column"], scores[3]["flag"]) == ("visits", "True")
    assert (scores[5]["top_column"], scores[5]["flag"]) == ("age", "True")
    for row, given in zip(scores, read(pathlib.Path(data)), strict=True):
        for name in ("age", "visits", "color", "smoker"):
            is_missing = given[name] == ""
            assert (row[f"excess_{name}"] == "") == is_missing
    own = answer("score", mixed, tmp_path, draws=20)
    assert 20 < len(own) < 40
    everything = {
        row["patient_id"]: row for row in answer("score", mixed, tmp_path, data=str(path))
    }
    for row in own:
        other = everything[row["patient_id"]]
        assert abs(float(row["elbo"]) - float(other["elbo"])) < 3  # other draws


def test_columns_are_found_by_their_names(mixed, tmp_path, caplog):
    caplog.set_level("INFO", "vae_jax")
    rows = read(mixed.parent / "mixed.csv")
    names = ["smoker", "weight", "color", "age", "visits"]
    with open(tmp_path / "data.csv", "w", newline="") as file:
        csv.writer(file).writerows([names, *[[row.get(n, "1") for n in names] for row in rows]])
    codes = answer("encode", mixed, tmp_path, data=str(tmp_path / "data.csv"))
    expected = answer("encode", mixed, tmp_path, data=str(mixed.parent / "mixed.csv"))
    assert [row["row"] for row in codes] == [str(number) for number in range(150)]
    for name in ("z_0", "z_1", "sd_0", "sd_1"):
        np.testing.assert_allclose(
            [float(row[name]) for row in codes], [float(row[name]) for row in expected], rtol=1e-5
        )
    assert "not read, since not in the training data: weight" in caplog.text
    assert "no column 'patient_id', so rows are numbered from 0" in caplog.text


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("age,visits,colour", "1,2,red", "no columns 'color', 'smoker'; .* 'colour'; did you mean"),
        ("age,visits,color,smoker", "1,2,pink,True", "color.*'pink'"),
        ("age,visits,color,smoker", "1,2.5,red,True", "visits.*2.5"),
        ("age,visits,color,smoker", "old,2,red,True", "age.*'old'"),
    ],
)
def test_tables_that_are_refused(header, row, message, mixed, tmp_path):
    (tmp_path / "data.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(InputError, match=message):
        answer("encode", mixed, tmp_path, data=str(tmp_path / "data.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("suffix", [".csv", pytest.param(".parquet", marks=pytest.mark.slow)])
def test_reconstructions_and_samples_in_the_form_of_the_data(suffix, mixed, tmp_path):
    result = answer("reconstruct", mixed, tmp_path, suffix)
    assert list(result[0]) == ["patient_id", "age", "visits", "color", "smoker"]
    assert {row["color"] for row in result} <= {"blue", "green", "red"}
    assert {str(row["smoker"]) for row in result} <= {"True", "False"}
    draws = answer("sample", mixed, tmp_path, suffix, num_samples=300)
    assert list(draws[0]) == ["age", "visits", "color", "smoker"]
    assert {row["color"] for row in draws} == {"blue", "green", "red"}
    assert all(float(row["visits"]) == int(row["visits"]) >= 0 for row in draws)
    assert len({row["age"] for row in draws}) > 290


@pytest.mark.slow
def test_numbers_are_printed_with_few_digits_and_all_of_their_bits(mixed, tmp_path):
    result = answer("reconstruct", mixed, tmp_path, data=str(mixed.parent / "mixed.csv"))
    model = vae_jax.load(mixed)
    from vae_jax.data.tables import read_chunks

    schema = model.inputs.table
    [chunk] = read_chunks(str(mixed.parent / "mixed.csv"), schema, 500, missing=True)
    expected = np.asarray(model.reconstruct(chunk.x, observed=chunk.observed))[:, 0]
    np.testing.assert_allclose(np.float32([row["age"] for row in result]), expected, rtol=1e-5)
    assert max(len(row["age"]) for row in result) <= 10


@pytest.mark.slow
def test_parquet_is_read_as_csv(mixed, tmp_path):
    import pandas as pd

    path = mixed.parent / "mixed.csv"
    frame = pd.read_csv(path)
    frame.to_parquet(tmp_path / "data.parquet")
    for mode, options in (("encode", {}), ("score", {"draws": 2})):
        one = answer(mode, mixed, tmp_path, data=str(path), **options)
        two = answer(mode, mixed, tmp_path, data=str(tmp_path / "data.parquet"), **options)
        assert one == two


def test_a_csv_file_for_a_run_without_names(runs, tmp_path):
    table = runs("table")
    with np.load(table.parent / "table.npz") as file:
        x = file["test_x"]
    lines = [f"r{number},{a!r},{b!r},{c!r}" for number, (a, b, c) in enumerate(x.tolist())]
    (tmp_path / "data.csv").write_text("\n".join(["id,a,b,c", *lines]))
    codes = answer("encode", table, tmp_path, data=str(tmp_path / "data.csv"))
    assert codes[7]["id"] == "r7"
    result = answer("reconstruct", table, tmp_path, data=str(tmp_path / "data.csv"))
    assert list(result[0]) == ["id", "a", "b", "c"]
    expected = vae_jax.load(table).encode(x).mean
    np.testing.assert_allclose([float(row["z_0"]) for row in codes], expected[:, 0], rtol=1e-5)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has 2 columns, a, b; the model was trained on rows of 3"):
        answer("encode", table, tmp_path, data=str(tmp_path / "data.csv"))


def test_lines_of_spaces_do_not_shift_the_cells(tmp_path):
    """The reader of numbers skips such a line in a table of one column, that of cells does not."""
    (tmp_path / "data.csv").write_text("a\n1\n   \n3\n")
    schema = TableSchema((TableColumn("a", "gaussian"),))
    inputs = Inputs((1,), (0.0, 9.0), table=schema, missing=True)
    path = str(tmp_path / "data.csv")
    reader = open_table(path, inputs, is_conditional=False, keeps_cells=True)
    with pytest.raises(InputError, match=r"data = .*has lines of spaces; remove them"):
        list(reader.parts(8))


def test_a_trained_model_takes_data_frames(mixed):
    """Columns are found by name, and empty cells are missing."""
    import pandas as pd

    model, key = vae_jax.load(mixed), jax.random.key(0)
    frame = pd.read_csv(mixed.parent / "mixed.csv")[:20]
    x, observed, _ = encode_frame(model.inputs.table, frame, missing=True)
    shuffled = frame[["smoker", "age", "color", "visits"]].assign(note="new")
    center = model.encode(x, observed=observed).center
    np.testing.assert_array_equal(model.encode(shuffled).center, center)
    imputed = model.impute(key, shuffled, num_samples=5)
    assert imputed.values.shape == (20, 4)
    with pytest.raises(InputError, match="observed: omit it"):
        model.encode(shuffled, observed=observed)
    with pytest.raises(InputError, match="no column 'age'"):
        model.encode(shuffled.drop(columns="age"))
