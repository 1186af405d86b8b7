"""Missing values filled in, with what was given as it was."""

import jax
import numpy as np
import pytest
from test_named_columns import answer, read

import vae_jax
from vae_jax.data.tables import TableColumn, TableSchema, read_chunks
from vae_jax.experiment.rows.form import Form
from vae_jax.experiment.rows.imputing import in_file_order
from vae_jax.experiment.rows.options import RowOptions
from vae_jax.experiment.rows.reading import Rows
from vae_jax.experiment.rows.run import answer_rows
from vae_jax.experiment.rows.writing import Field

pytest.importorskip("pandas")

NAMES = ("age", "visits", "color", "smoker")


@pytest.fixture
def mixed(runs):
    return runs("mixed")


def test_a_table_filled_in(mixed, tmp_path):
    """Every given text stays; the filled-in values are those of the model."""
    path = mixed.parent / "mixed.csv"
    lines = path.read_text().replace(",46.2,", ",46.200,").splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",TRUE"
    data = tmp_path / "data.csv"
    data.write_text("\n".join(lines) + "\n")
    filled, before = answer("impute", mixed, tmp_path, data=str(data), draws=50), read(data)
    model = vae_jax.load(mixed)
    [chunk] = read_chunks(str(path), model.inputs.table, 500, missing=True)
    assert {row["patient_id"] for row in filled} == {row["patient_id"] for row in before}
    for row, given in zip(filled, before, strict=True):
        for name in NAMES:
            extra = "_sd" if name in ("age", "visits") else "_probability"
            spread = float(row[f"{name}{extra}"])
            if given[name]:
                assert row[name] == given[name]
                assert spread == (0 if extra == "_sd" else 1)
            else:
                assert spread > 0
        float(row["age"])
        assert int(row["visits"]) >= 0
        assert row["color"] in ("blue", "green", "red")
        assert row["smoker"] in ("True", "False", "TRUE")
        assert 1 <= float(row["ess"]) <= 51
    ages = np.array([float(row["age"]) for row in filled])
    hidden = ~chunk.observed[:, 0]
    assert hidden.sum() > 5
    imputation = model.impute(jax.random.key(1), chunk.x, observed=chunk.observed)
    assert np.abs(ages - np.asarray(imputation.values)[:, 0])[hidden].mean() < 5


def test_the_test_split_and_several_imputations(mixed, tmp_path):
    given = {row["patient_id"]: row for row in read(mixed.parent / "mixed.csv")}
    single = answer("impute", mixed, tmp_path, draws=20)
    assert 20 < len(single) < 40
    several = answer("impute", mixed, tmp_path, draws=20, imputations=3)
    assert [row["imputation"] for row in several] == ["1", "2", "3"] * len(single)
    assert [row["patient_id"] for row in several[::3]] == [row["patient_id"] for row in single]
    differing = 0
    for row in several + single:
        for name in NAMES:
            text = given[row["patient_id"]][name]
            assert row[name] == text or not text
    for one, two in zip(several[::3], several[1::3], strict=True):
        differing += sum(one[name] != two[name] for name in NAMES)
    assert differing > 3


@pytest.mark.slow
def test_parquet_keeps_its_numbers(mixed, tmp_path):
    import pandas as pd

    frame = pd.read_csv(mixed.parent / "mixed.csv")
    frame["visits"] = frame["visits"].astype("Int64")
    frame["age"] += 1e-9
    frame.to_parquet(tmp_path / "data.parquet")
    path = tmp_path / "out.parquet"
    options = RowOptions(data=str(tmp_path / "data.parquet"), output=str(path), draws=5)
    answer_rows("impute", mixed, options)
    filled = pd.read_parquet(path)
    assert not filled[list(NAMES)].isna().any().any()
    for name in NAMES:
        present = frame[name].notna()
        assert (filled[name][present] == frame[name][present]).all()


@pytest.mark.slow
def test_arrays_keep_their_form(runs, tmp_path):
    """Bytes of images with a mask; a model of data without missing values takes one too."""
    images = runs("images")
    with np.load(images.parent / "images.npz") as file:
        x, y = file["test_images"], file["test_labels"]
    observed = np.ones(x.shape, bool)
    observed[:, 2:] = False
    np.savez(tmp_path / "data.npz", images=x, labels=y, images_observed=observed)
    for name, options in (("one", {}), ("many", {"imputations": 4})):
        options = RowOptions(
            data=str(tmp_path / "data.npz"),
            output=str(tmp_path / f"{name}.npz"),
            draws=9,
            **options,
        )
        answer_rows("impute", images, options)
    with np.load(tmp_path / "one.npz") as file:
        assert file["x"].dtype == np.uint8
        np.testing.assert_array_equal(file["x"][observed], x[observed])
        assert file["x"][~observed].max() > 20
        assert file["ess"].shape == (21,)
    with np.load(tmp_path / "many.npz") as file:
        assert file["x"].shape == (21, 4, 4, 4)
        np.testing.assert_array_equal(file["x"][:, 3][observed], x[observed])


def test_columns_that_the_model_ignores_stay():
    """A file comes back in its own order, without columns that the training data lacked."""
    schema = TableSchema((TableColumn("a", "gaussian"),), "id", ignored=("day",), label="group")
    names = ("group", "other", "a", "id", "day")
    cells = {name: np.array([f"{name} {row}" for row in range(3)], object) for name in names}
    rows = Rows(0, np.zeros((3, 1), np.float32), cells=cells)
    filled = {"a": Field("a", np.ones(3))}
    fields = in_file_order(filled, rows, Form((1,), ("a",), ("gaussian",), True, schema))
    assert [field.name for field in fields] == ["group", "a", "day"]
    assert fields[1] is filled["a"]
    assert fields[2].values.tolist() == ["day 0", "day 1", "day 2"]
