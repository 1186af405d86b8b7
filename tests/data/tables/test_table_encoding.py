"""From a data frame to rows of numbers and back: every row and kind, and entries that fit none."""

import numpy as np
import pytest

from vae_jax.data.tables import (
    TableColumn,
    TableSchema,
    decode_rows,
    encode_frame,
    encode_labels,
    read_chunks,
)
from vae_jax.data.tables.encoding import identifiers
from vae_jax.errors import Argument, InputError

pd = pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 60
SCHEMA = TableSchema(
    (
        TableColumn("age", "student_t"),
        TableColumn("income", "positive"),
        TableColumn("kids", "poisson"),
        TableColumn("smokes", "bernoulli", ("False", "True"), "boolean"),
        TableColumn("city", "categorical", ("Bern", "Oslo", "Rome"), "text"),
        TableColumn("grade", "ordinal", ("low", "mid", "high"), "text"),
        TableColumn("dose", "ordinal", ("0.5", "1", "2.5")),
        TableColumn("code", "categorical", ("1", "3", "7")),
    ),
    identifier="id",
    label="class",
    classes=("no", "yes"),
)


def make_frame(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"P{i}" for i in range(n)],
            "class": rng.choice(["yes", "no"], n),
            "age": rng.normal(size=n).astype(np.float32),
            "income": np.exp(rng.normal(size=n)).astype(np.float32),
            "kids": rng.poisson(2, n),
            "smokes": rng.random(n) < 0.5,
            "city": rng.choice(["Bern", "Oslo", "Rome"], n),
            "grade": rng.choice(["low", "mid", "high"], n),
            "dose": rng.choice([0.5, 1.0, 2.5], n),
            "code": rng.choice([1, 3, 7], n),
        }
    )


FRAME = make_frame()


def with_holes(frame, share=0.3, seed=1):
    holes = np.random.default_rng(seed).random(frame.shape) < share
    result = frame.astype(object)
    for number, name in enumerate(frame.columns):
        if name in SCHEMA.names:
            result.loc[holes[:, number], name] = None
    return result


def test_codes_are_places_in_the_categories():
    x, observed, ids = encode_frame(SCHEMA, FRAME)
    assert (x.dtype, x.shape, observed) == (np.float32, (N, 8), None)
    for number, name in enumerate(("age", "income", "kids", "smokes")):
        np.testing.assert_array_equal(x[:, number], FRAME[name].astype(np.float32))
    for number, order in ((4, ["Bern", "Oslo", "Rome"]), (5, ["low", "mid", "high"])):
        texts = FRAME[SCHEMA.names[number]]
        assert x[:, number].tolist() == [order.index(text) for text in texts]
    assert x[:, 6].tolist() == [[0.5, 1.0, 2.5].index(dose) for dose in FRAME["dose"]]
    assert ids.tolist() == FRAME["id"].tolist()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_every_row_comes_back(share):
    frame = with_holes(FRAME, share)
    x, observed, _ = encode_frame(SCHEMA, frame, missing=True)
    decoded = decode_rows(SCHEMA, x, observed=observed)
    assert list(decoded.columns) == list(SCHEMA.names)
    for name in SCHEMA.names:
        absent = frame[name].isna()
        assert (decoded[name].isna() == absent).all()
        expected = FRAME[name][~absent].tolist()
        assert decoded[name][~absent].tolist() == expected, name
    again, same, _ = encode_frame(SCHEMA, decoded, missing=True)
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(same, observed)
    assert (x[~observed] == 0).all()


def test_the_types_of_decoded_columns_do_not_depend_on_the_rows():
    x, _, _ = encode_frame(SCHEMA, FRAME)
    some = np.where(RNG.random(x.shape) < 0.2, np.nan, x)
    assert (decode_rows(SCHEMA, x).dtypes == decode_rows(SCHEMA, some).dtypes).all()
    assert (decode_rows(SCHEMA, x).dtypes == decode_rows(SCHEMA, x[:1]).dtypes).all()


def test_means_become_the_nearest_value():
    row = np.array([[0.3, 2.0, 2.6, 0.7, 1.4, 2.9, -0.2, 0.6]])
    decoded = decode_rows(SCHEMA, row).iloc[0].tolist()
    assert decoded[1:] == [2.0, 3, True, "Oslo", "high", 0.5, 3]


def test_rows_of_another_shape():
    with pytest.raises(InputError, match=r"must be \[N, 8\]"):
        decode_rows(SCHEMA, np.zeros((3, 7)))


@pytest.mark.parametrize(
    "change",
    [
        {"kids": lambda s: s.astype(float)},
        {"kids": lambda s: s.astype(str)},
        {"smokes": lambda s: s.map({True: "TRUE", False: "false"})},
        {"smokes": lambda s: s.astype(int)},
        {"code": lambda s: s.astype(float)},
        {"code": lambda s: s.astype(str)},
        {"dose": lambda s: s.astype(str)},
        {"city": lambda s: s.astype("category")},
        {"city": lambda s: " " + s + " "},
        {"age": lambda s: s.astype("Float64")},
    ],
)
def test_other_types_of_the_same_entries(change):
    [(name, convert)] = change.items()
    frame = FRAME.assign(**{name: convert(FRAME[name])})
    np.testing.assert_array_equal(encode_frame(SCHEMA, frame)[0], encode_frame(SCHEMA, FRAME)[0])


def test_columns_are_found_by_name_in_any_order():
    frame = FRAME[list(FRAME.columns)[::-1]].assign(other=1)
    np.testing.assert_array_equal(encode_frame(SCHEMA, frame)[0], encode_frame(SCHEMA, FRAME)[0])
    assert encode_frame(SCHEMA, FRAME.drop(columns="id"))[2] is None


def refusal(frame, **options):
    with pytest.raises(InputError) as error:
        encode_frame(SCHEMA, frame, **options)
    return error.value


def test_a_column_that_is_not_there_has_its_nearest_name():
    message = str(refusal(FRAME.rename(columns={"grade": "grades"})))
    assert "no column 'grade'" in message
    assert "did you mean 'grades'?" in message


@pytest.mark.parametrize(
    ("name", "entry", "problem"),
    [
        ("age", "old", "'old' is not a number; 59 of 60 are"),
        ("age", np.inf, "'inf' is infinite"),
        ("age", 1e39, "is too large for float32"),
        ("income", 0.0, "'0' is not above 0"),
        ("income", 1e-60, "is not above 0"),  # in float32
        ("kids", -1, "'-1' is not a count"),
        ("kids", 1.5, "'1.5' is not a count"),
        ("kids", 2**24 + 1, "is above 2^24"),
        ("smokes", "perhaps", "is not one of its categories, 'False', 'True'"),
        ("city", "Osli", "'Bern', 'Oslo', 'Rome'; did you mean 'Oslo'?"),
        ("grade", "High", "did you mean 'high'?"),
        ("dose", 0.7, "'0.7' is not one of its categories, '0.5', '1', '2.5'"),
        ("code", 2, "'2' is not one of its categories, '1', '3', '7'"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(name, entry, problem):
    frame = FRAME.astype(object)
    frame.loc[17, name] = entry
    message = str(refusal(frame))
    assert message.startswith(f"the table: column {name!r}, row 17: ")
    assert problem in message


@pytest.mark.parametrize("name", SCHEMA.names)
def test_dates_fit_no_kind(name):
    message = str(refusal(FRAME.assign(**{name: pd.date_range("2024-01-01", periods=N)})))
    assert f"column {name!r}" in message
    assert "dates" in message


def test_a_hole_is_named_with_the_flag_that_allows_it():
    frame = FRAME.astype(object)
    frame.loc[17, "city"] = "NA"
    frame.loc[18, "city"] = None
    error = refusal(frame)
    assert str(error.under("config.data")) == (
        "the table: column 'city', row 17: the cell is empty (2 of 60 are); set config.data.missing"
        " = True for missing values, or fill or remove the row"
    )
    assert Argument("missing") in error.parts
    _, observed, _ = encode_frame(SCHEMA, frame, missing=True)
    assert np.argwhere(~observed).tolist() == [[17, 4], [18, 4]]


def test_frames_that_are_none():
    assert "must be a data frame of pandas, not list" in str(refusal([1]))
    twice = pd.concat([FRAME, FRAME[["age"]]], axis=1)
    assert "two columns have the name 'age'" in str(refusal(twice))

    class Polars:
        def to_pandas(self):
            return FRAME

    np.testing.assert_array_equal(encode_frame(SCHEMA, Polars())[0], encode_frame(SCHEMA, FRAME)[0])


def test_labels_are_classes_and_holes_are_unlabeled():
    frame = FRAME.astype(object)
    frame.loc[3, "class"] = None
    y = encode_labels(SCHEMA, frame)
    assert y.dtype == np.int32
    assert y[3] == -1
    expected = [int(text == "yes") for text in FRAME["class"]]
    assert np.delete(y, 3).tolist() == np.delete(expected, 3).tolist()
    frame.loc[3, "class"] = "maybe"
    with pytest.raises(InputError, match="column 'class', row 3: 'maybe' is not one of its"):
        encode_labels(SCHEMA, frame)
    assert encode_labels(TableSchema(SCHEMA.columns), frame) is None


def test_identifiers_are_whole_numbers_or_texts():
    def result(values, **options):
        ids = identifiers(pd.Series(values, **options))
        return ids.dtype.kind, ids.tolist()

    assert result([3, 2**62]) == ("i", [3, 2**62])
    assert result(["3", "-40", "0"]) == ("i", [3, -40, 0])
    assert result(["003", "40"]) == ("U", ["003", "40"])
    assert result(["a ", None, "40"]) == ("U", ["a", "", "40"])
    assert result([1.0, np.nan]) == ("U", ["1", ""])
    assert result([2**63 + 1, 1], dtype="uint64") == ("U", [str(2**63 + 1), "1"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("chunk_size", [1, 7, 60, 1000])
def test_chunks_are_the_rows_of_the_whole_table(suffix, chunk_size, tmp_path):
    path = str(tmp_path / f"a.{suffix}")
    frame = with_holes(FRAME)
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        decode_rows(
            SCHEMA,
            *encode_frame(SCHEMA, frame, missing=True)[:1],
            observed=encode_frame(SCHEMA, frame, missing=True)[1],
        ).assign(**{"id": FRAME["id"], "class": FRAME["class"]}).to_parquet(path)
    chunks = list(read_chunks(path, SCHEMA, chunk_size, missing=True))
    assert [chunk.start for chunk in chunks] == list(range(0, N, chunk_size))
    x, observed, ids = encode_frame(SCHEMA, frame, missing=True)
    np.testing.assert_array_equal(np.concatenate([chunk.x for chunk in chunks]), x)
    np.testing.assert_array_equal(np.concatenate([chunk.observed for chunk in chunks]), observed)
    assert np.concatenate([chunk.ids for chunk in chunks]).tolist() == ids.tolist()
    labels = np.concatenate([chunk.y for chunk in chunks])
    np.testing.assert_array_equal(labels, encode_labels(SCHEMA, FRAME))


def test_a_wrong_entry_of_a_later_chunk_has_its_line(tmp_path):
    frame = FRAME.astype(object)
    frame.loc[41, "city"] = "Osli"
    frame.to_csv(tmp_path / "a.csv", index=False)
    chunks = read_chunks(str(tmp_path / "a.csv"), SCHEMA, 10)
    assert [next(chunks).start for _ in range(4)] == [0, 10, 20, 30]
    with pytest.raises(InputError, match=r"a\.csv: column 'city', line 43: 'Osli'"):
        next(chunks)


def test_texts_that_look_like_numbers_stay_texts_in_chunks(tmp_path):
    column = TableColumn("zip", "categorical", ("01", "02", "A"), "text")
    (tmp_path / "a.csv").write_text("zip,id\n01,1\n02,2\nA,3\n")
    chunks = list(read_chunks(str(tmp_path / "a.csv"), TableSchema((column,), identifier="id"), 1))
    assert [float(chunk.x[0, 0]) for chunk in chunks] == [0, 1, 2]
    assert [chunk.ids.tolist() for chunk in chunks] == [["1"], ["2"], ["3"]]
    integers = TableSchema((column,), identifier="id", integer_ids=True)
    chunks = list(read_chunks(str(tmp_path / "a.csv"), integers, 2))
    assert [chunk.ids.tolist() for chunk in chunks] == [[1, 2], [3]]


def test_chunks_of_a_file_without_the_columns(tmp_path):
    FRAME.drop(columns=["age", "class"]).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=r"a\.csv: no column 'age'"):
        next(read_chunks(str(tmp_path / "a.csv"), SCHEMA, 10))
    (tmp_path / "b.csv").write_text(",".join(FRAME.columns) + "\n")
    with pytest.raises(InputError, match="no rows"):
        next(read_chunks(str(tmp_path / "b.csv"), SCHEMA, 10))
    with pytest.raises(InputError, match="chunk_size = 0"):
        next(read_chunks(str(tmp_path / "b.csv"), SCHEMA, 0))
