"""Files of answers, written part by part."""

import csv
import os

import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.experiment.rows.writing import Field, check_output, flatten, open_writer, shorten

PARTS = [
    [
        Field("id", np.array(["a", "bb"])),
        Field("value", np.float32([0.1, np.nan])),
        Field("z", np.float32([[1, 2], [3, 4]])),
        Field("flag", np.array([True, False])),
        Field("excess", np.float32([[1, np.nan], [0.5, -1e-05]]), ("age", "city")),
    ],
    [
        Field("id", np.array(["long text, with a comma"])),
        Field("value", np.float32([1e30])),
        Field("z", np.float32([[5, 6]])),
        Field("flag", np.array([True])),
        Field("excess", np.float32([[np.inf, 3]]), ("age", "city")),
    ],
]


def write(path):
    with open_writer(path) as writer:
        for part in PARTS:
            writer.write(part)
    assert os.listdir(path.parent) == [path.name]


def test_csv(tmp_path):
    write(tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "value", "z_0", "z_1", "flag", "excess_age", "excess_city"]
    assert rows[0] == ["a", "0.1", "1.0", "2.0", "True", "1.0", ""]
    assert rows[1] == ["bb", "", "3.0", "4.0", "False", "0.5", "-1e-05"]
    assert rows[2][0] == "long text, with a comma"
    assert [float(text) for text in rows[2][1:4]] == [np.float32(1e30), 5, 6]
    assert rows[2][5] == "inf"


def test_npz(tmp_path):
    write(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["id"].tolist() == ["a", "bb", "long text, with a comma"]
        np.testing.assert_array_equal(file["z"], [[1, 2], [3, 4], [5, 6]])
        assert file["z"].dtype == np.float32
        assert file["excess_columns"].tolist() == ["age", "city"]
        assert file["flag"].dtype == bool


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["id"][2] == "long text, with a comma"
    assert table["value"][1] is None
    assert table["flag"] == [True, False, True]
    assert list(table) == ["id", "value", "z_0", "z_1", "flag", "excess_age", "excess_city"]


def test_numbers_have_the_fewest_digits_and_all_of_their_bits():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([bits, np.float32([0, -0.0, 0.1, 1e-45, 3.4e38, np.inf, np.nan])])
    result = shorten(values)
    np.testing.assert_array_equal(result.astype(np.float32), values)
    plain = rng.normal(size=1000).astype(np.float32) * 100
    for value, number in zip(plain, shorten(plain).tolist(), strict=True):
        assert len(repr(number)) <= len(str(value))


def test_two_columns_of_one_name():
    fields = [Field("x_0", np.zeros(2)), Field("x", np.zeros((2, 2)))]
    with pytest.raises(InputError, match="two columns would have the name 'x_0'"):
        flatten(fields)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.cvs", r"must end with \.csv \(CSV\).* did you mean '\.csv'"),
        ("folder.csv", "is a folder"),
        ("here.csv", "exists; .* --overwrite"),
        ("here.csv/new/out.csv", "here.csv' is not a folder"),
    ],
)
def test_outputs_that_are_refused(name, message, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "here.csv").write_text("mine")
    with pytest.raises(InputError, match=message):
        check_output(tmp_path / name, overwrite=False)
    assert check_output(tmp_path / "here.csv", overwrite=True) == tmp_path / "here.csv"
