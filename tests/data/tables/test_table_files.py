"""CSV and Parquet files as people have them: other separators, quotes, and damage by the line."""

import gzip
import logging

import numpy as np
import pytest

from vae_jax.data.tables import dialect, reading
from vae_jax.data.tables.reading import is_table, read_table
from vae_jax.errors import InputError

pd = pytest.importorskip("pandas")
ROWS = [("P1", "3", "Rome", "0.5"), ("P2", "4", "Oslo", "-1.5"), ("P3", "5", "Bern", "2.25")]
NAMES = ("id", "kids", "city", "score")


def csv_text(separator=",", end="\n", names=NAMES, rows=ROWS):
    return end.join(separator.join(row) for row in (names, *rows)) + end


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return str(path)


def frame_of(path):
    frame = read_table(path).frame
    assert tuple(frame.columns) == NAMES
    return frame


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.csv", csv_text()),
        ("semicolons.csv", csv_text(";")),
        ("tabs.tsv", csv_text("\t")),
        ("bars.txt", csv_text("|")),
        ("windows.csv", csv_text(end="\r\n")),
        ("mark.csv", "\ufeff" + csv_text()),
        ("no_last_end.csv", csv_text().rstrip("\n")),
        ("blank_lines.csv", "\n" + csv_text().replace("\nP2", "\n\n\nP2") + "\n\n"),
        ("spaces.csv", csv_text(", ").replace("id,", " id ,")),
        ("quotes.csv", csv_text().replace("Oslo", '"Oslo"').replace("city", '"city"')),
    ],
)
def test_every_form_of_a_file_is_read_alike(name, text, tmp_path):
    frame = frame_of(write(tmp_path / name, text))
    assert frame["id"].tolist() == ["P1", "P2", "P3"]
    assert frame["kids"].tolist() == [3, 4, 5]
    assert frame["city"].tolist() == ["Rome", "Oslo", "Bern"]
    assert frame["score"].tolist() == [0.5, -1.5, 2.25]


def test_a_compressed_file(tmp_path):
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(csv_text().encode()))
    assert frame_of(str(path))["kids"].tolist() == [3, 4, 5]


def test_commas_and_line_ends_in_quotes(tmp_path):
    text = csv_text().replace("Oslo", '"Oslo, ""N""\nEurope"')
    assert frame_of(write(tmp_path / "a.csv", text))["city"][1] == 'Oslo, "N"\nEurope'


def test_zeros_of_codes_and_digits_of_identifiers_are_kept(tmp_path):
    text = "id,zip,x\n" + "".join(f"{10**20 + i},{i:05d},{i / 7}\n" for i in range(9))
    frame = read_table(write(tmp_path / "a.csv", text)).frame
    assert frame["id"][1] == "100000000000000000001"
    assert frame["zip"][3] == "00003"


def test_the_index_that_pandas_writes(tmp_path):
    pd.DataFrame({"x": [1.5, 2.5]}).to_csv(tmp_path / "a.csv")
    assert list(read_table(str(tmp_path / "a.csv")).frame.columns) == ["index", "x"]


def failure(tmp_path, text, name="mine.csv", encoding="utf-8"):
    with pytest.raises(InputError) as error:
        read_table(write(tmp_path / name, text, encoding))
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b\n", "has the names of columns, but no rows"),
        ("1,2\n3,4\n", "the first line must name the columns, but has the number 1"),
        (csv_text(names=("id", "kids", "id", "score")), "columns 1 and 3 have the same name, 'id'"),
        (csv_text(names=("id", "kids", " ", "score")), "column 3 of the first line has no name"),
        (csv_text().replace("P2,", "P2,,"), "line 3 has 5 values, but there are 4 columns"),
        (csv_text().replace("P2,", ""), "line 3 has 3 values, but there are 4 columns"),
        (csv_text().replace("\nP3", "\n\nP3,"), "line 5 has 5 values"),
        (csv_text().rstrip("\n") + ",9", "line 4 has 5 values"),
        (csv_text().replace("Oslo", '"Os\nlo"').replace("P3,", ""), "line 5 has 3 values"),
        (csv_text().replace("Oslo", '"Oslo'), "line 3 has 3 values"),
        (csv_text().replace("Oslo", '"Oslo'), "a quote on this line is perhaps not closed"),
        (csv_text(";").replace("P2;", ""), "texts with semicolons need quotes"),
        (csv_text().replace("Oslo", "Os\0lo"), "contains zero bytes"),
    ],
)
def test_damage_is_named_by_its_line(text, message, tmp_path):
    result = failure(tmp_path, text)
    assert result.startswith(f"path = '{tmp_path}/mine.csv': ")
    assert message in result


def test_another_encoding_is_named_wherever_it_begins(tmp_path):
    assert "not UTF-8" in failure(tmp_path, csv_text().replace("Oslo", "Zürich"), encoding="latin1")
    rows = [*ROWS * 30, ("P4", "1", "Zürich", "0.5")]
    assert "not UTF-8" in failure(tmp_path, csv_text(rows=rows), encoding="latin1")
    assert "not UTF-8" in failure(tmp_path, csv_text(), encoding="utf-16")


@pytest.mark.parametrize("block", [7, 64, 2**24])
def test_lines_are_counted_across_blocks(block, tmp_path, monkeypatch):
    monkeypatch.setattr(dialect, "BLOCK", block)
    rows = ROWS * 20
    assert len(read_table(write(tmp_path / "a.csv", csv_text(rows=rows))).frame) == 60
    rows[41] = ("P9", "1")
    assert "line 43 has 2 values" in failure(tmp_path, csv_text(rows=rows, end="\r\n"))


def test_rows_are_described_by_their_lines(tmp_path):
    text = csv_text(rows=[("P0", "1", '"a\nb"', "2"), *ROWS]).replace("\nP2", "\n\nP2")
    place = read_table(write(tmp_path / "a.csv", text)).place
    assert [place.describe_row(row) for row in range(4)] == ["line 2", "line 4", "line 6", "line 7"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "must name a CSV"),
        ("nothing.csv", "no such file"),
        (".", "not a regular file"),
        ("book.xlsx", "in Excel, save it as CSV UTF-8"),
        ("rows.json", "must be the name of a CSV"),
        ("mine.parquet", "not a readable Parquet file"),
        ("mine.csv.gz", "cannot be read"),
    ],
)
def test_other_files(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("book.xlsx", "rows.json", "mine.parquet", "mine.csv.gz"):
        write(tmp_path / name, "neither one nor the other")
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_names_of_tables():
    assert all(map(is_table, ("a.csv", "A.CSV", "a.tsv", "b.parquet", "c.csv.gz")))
    assert not any(map(is_table, ("a.npz", "csv", "a.csv.npz")))


def test_parquet_has_what_pandas_wrote(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            " kids ": pd.array([3, None, 5], dtype="Int64"),
            "grade": pd.Categorical(["b", "a", "b"], ["a", "b"], ordered=True),
            "when": pd.date_range("2024-01-01", periods=3),
        },
        index=pd.Index(["P1", "P2", "P3"], name="id"),
    )
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(str(tmp_path / "a.parquet"))
    assert list(table.frame.columns) == ["id", "kids", "grade", "when"]
    assert table.frame["grade"].dtype.ordered
    assert table.place.describe_row(1) == "row 1"


@pytest.mark.parametrize(
    ("package", "name"), [("pandas", "a.csv"), ("pyarrow.parquet", "a.parquet")]
)
def test_a_missing_package_is_one_line_with_the_command(package, name, tmp_path, monkeypatch):
    path = write(tmp_path / name, csv_text())
    real = reading.import_pandas.__globals__["importlib"].import_module

    def import_module(wanted, *args):
        if wanted == package:
            raise ImportError(wanted)
        return real(wanted, *args)

    monkeypatch.setattr("importlib.import_module", import_module)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert str(error.value).endswith("pip install 'vae_jax[tables]'")
    assert "\n" not in str(error.value)


def test_a_file_beyond_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "machine_memory", lambda: 20)
    assert "of this machine" in failure(tmp_path, csv_text())


def test_another_separator_is_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="vae_jax"):
        read_table(write(tmp_path / "a.csv", csv_text(";")))
    assert "separated by semicolons" in caplog.text


def test_numbers_are_those_of_the_text(tmp_path):
    numbers = np.random.default_rng(0).normal(size=200) * 1e5
    text = "x,k\n" + "".join(f"{float(number)!r},{i}\n" for i, number in enumerate(numbers))
    frame = read_table(write(tmp_path / "a.csv", text)).frame
    np.testing.assert_allclose(frame["x"], numbers, rtol=1e-15)
