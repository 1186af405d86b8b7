"""Kinds and roles of columns: each rule, and the entries that tell it from its neighbours."""

import logging

import numpy as np
import pytest

from vae_jax.data.tables.cells import MISSING, is_missing, is_number, read_cells, text_of
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.inference import infer_kind, infer_kinds, names_identifier
from vae_jax.errors import InputError

pd = pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 200


def kind(values, name="column"):
    return infer_kind(name, read_cells(pd.Series(values)), Place("mine.csv")).kind


def texts(choices, n=N):
    return [choices[i % len(choices)] for i in range(n)]


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("gaussian", RNG.normal(size=N)),
        ("gaussian", RNG.normal(size=N) ** 3),  # heavy tails on both sides
        ("gaussian", RNG.integers(150, 200, N)),  # heights in cm
        ("gaussian", RNG.integers(-50, 50, N)),
        ("gaussian", RNG.uniform(1, 2, N)),  # above 0, not skewed
        ("gaussian", RNG.integers(2**24, 2**25, N)),  # beyond the counts of float32
        ("positive", np.exp(2 * RNG.normal(size=N))),
        ("positive", np.round(np.exp(2 * RNG.normal(size=N) + 20))),  # whole, beyond 2^24
        ("counts", RNG.poisson(3, N)),
        ("counts", 2.0 + RNG.geometric(0.02, N)),  # whole floats that begin near 0 for their mean
        ("counts", texts([0, 1, 2], N)),
        ("ordinal", texts([1, 2, 3, 4, 5])),
        ("ordinal", texts([-1, 0, 1])),
        ("ordinal", texts([0.5, 1.0, 2.5])),
        ("ordinal", pd.Categorical(texts(["lo", "mid", "hi"]), ["lo", "mid", "hi"], ordered=True)),
        ("bernoulli", texts([0, 1])),
        ("bernoulli", texts([1.0, 2.0, 2.0])),
        ("bernoulli", texts(["yes", "no"])),
        ("bernoulli", texts([True, False])),
        ("bernoulli", texts(["TRUE", "false"])),
        ("categorical", texts(["red", "green", "blue"])),
        ("categorical", texts(["1", "2", "A"])),  # codes
        ("categorical", texts([f"{i:02d}" for i in range(12)])),  # zeros that numbers would lose
        ("identifier", [f"P{i}" for i in range(N)]),
        ("ignore", texts([7])),
        ("ignore", [np.nan] * N),
        ("ignore", pd.date_range("2024-01-01", periods=N)),
        ("ignore", [f"2024-01-{1 + i % 28}" for i in range(N)]),
        ("ignore", [[1]] * N),
        ("ignore", [f"note {i}" for i in range(150)] + ["none to say"] * 50),
        ("ignore", 1_700_000_000 + np.arange(N)),  # float32 has steps of 128 there
    ],
)
def test_the_kind_of_a_column(expected, values):
    assert kind(values) == expected


def test_types_of_the_file_tell_categories_and_long_identifiers():
    codes = pd.Categorical(texts([1, 2, 3]))
    assert kind(codes) == "categorical"
    assert kind(texts([1, 2, 3])) == "ordinal"
    assert kind(2**60 + np.arange(N), "big_id") == "identifier"  # equal in float64
    assert kind(pd.array([2**60 + i for i in range(N)], dtype="Int64"), "key") == "identifier"


def test_few_numbers_are_an_order_only_if_each_is_repeated():
    assert kind(texts([1, 2, 3, 4], 20)) == "ordinal"
    assert kind(texts([1, 2, 3, 4], 19)) == "counts"
    assert kind(texts(list(range(1, 11)))) == "ordinal"
    assert kind(texts(list(range(1, 12)))) == "counts"


def test_texts_are_categories_only_if_each_is_repeated():
    assert kind([*"abcd", *"abcd"]) == "categorical"
    assert kind([*"abcde", *"abcd"]) == "ignore"
    assert kind(texts([f"c{i}" for i in range(100)], 300)) == "categorical"
    assert kind(texts([f"c{i}" for i in range(101)], 303)) == "ignore"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("id", "ID", "patient_id", "patientId", "Patient ID", "key")),
        *((name, True) for name in ("uuid", "index", "row", "row_nr", "name", "sample-id")),
        *((name, True) for name in ("Patienten-Nr.", "Kunden-Nr", "Patient No.", "lfd. Nummer")),
        *(
            (name, False)
            for name in ("width", "paid", "grid", "humidity", "monkey", "rowing", "casino")
        ),
    ],
)
def test_names_of_identifiers(name, is_one):
    assert names_identifier(name) is is_one
    assert kind(np.arange(1, N + 1) * 7, name) == ("identifier" if is_one else "counts")


def test_repeated_numbers_are_no_identifier():
    assert kind(texts([3, 4, 5, 6]), "id") == "ordinal"


@pytest.mark.parametrize("name", ["split", "Fold", "set", "partition"])
def test_a_column_of_splits(name):
    assert kind(texts(["train", "Train", "val", "test"]), name) == "split"
    assert kind(texts(["train", "hold-out", "test"]), name) == "categorical"
    assert kind(texts(["train", "val", "test"]), "phase") == "categorical"


def test_numbers_of_folds_are_not_modelled():
    assert kind(texts([0, 1, 2, 3, 4]), "fold") == "ignore"


def findings(given=None, **columns):
    cells = {name: read_cells(pd.Series(values)) for name, values in columns.items()}
    found = infer_kinds(cells, Place("mine.csv"), given)
    return {name: finding.kind for name, finding in found.items()}


def test_one_identifier_the_one_with_its_name():
    ids = [f"P{i}" for i in range(N)]
    assert findings(note=ids, id=ids) == {"note": "ignore", "id": "identifier"}
    assert findings(a=ids, b=ids) == {"a": "identifier", "b": "ignore"}
    assert findings({"c": "identifier"}, a=ids, c=ids) == {"a": "ignore"}


@pytest.mark.parametrize("text", [*MISSING, "na", "n/a", "null", "nan", " NA "])
def test_texts_of_missing_values(text):
    assert is_missing(text.strip())
    cells = read_cells(pd.Series(["a", text, "b", "a"]))
    assert cells.missing.tolist() == [False, True, False, False]
    assert cells.categories == ("a", "b")


@pytest.mark.parametrize("text", ["None", "none", "-", "0", "N", "unknown"])
def test_other_texts_are_values(text):
    assert not is_missing(text)


def test_numbers_and_booleans_of_any_type_are_one():
    for values in (
        [1, 2, 3],
        ["1", "2", "3 "],
        [1.0, 2.0, 3.0],
        pd.array([1, 2, 3], dtype="Int64"),
    ):
        cells = read_cells(pd.Series(values))
        assert (cells.type, cells.categories) == ("number", ("1", "2", "3"))
    for values in ([True, None], ["true", ""], pd.array([True, None], dtype="boolean")):
        cells = read_cells(pd.Series(values, dtype=object if isinstance(values, list) else None))
        assert (cells.type, cells.text(0), cells.text(1)) == ("boolean", "True", "")


def test_texts_of_numbers():
    assert [text_of(v) for v in (3, 3.0, 0.5, True, np.float32(2), b"x")] == [
        *("3", "3", "0.5", "True", "2", "x")
    ]
    assert all(map(is_number, ("0", "-1", "+2.5", ".5", "1e-3", "0.10", "INF")))
    assert not any(map(is_number, ("007", "1,5", "1_000", "", "5 kg", "0x1F", "--1")))


@pytest.mark.parametrize(
    ("entry", "row", "remedy"),
    [
        ("unknown", 17, "'unknown' is not a number; 199 of 200 are"),
        ("1,234", 3, "write it without separators between thousands, 1234"),
        ("3,14", 0, "write it with a decimal point, 3.14"),
        ("12%", 9, "write it without a unit, 12"),
    ],
)
def test_a_mistake_among_numbers_is_named(entry, row, remedy):
    values = [f"{value:.3f}" for value in RNG.normal(size=N)]
    values[row] = entry
    with pytest.raises(InputError) as error:
        kind(values, "age")
    assert str(error.value).startswith(f"mine.csv: column 'age', row {row}: {entry!r} is not a")
    assert str(error.value).endswith(remedy)


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ([f"{i},{i:03d}" for i in range(1, 60)], "thousands, 1001"),
        ([f"{i % 3},{i:03d}" for i in range(1, 60)], "decimal point, 1.001"),  # some are 0,xxx
        ([f"$ {i}.50" for i in range(1, 60)], "without a unit, 1.50"),
    ],
)
def test_a_column_of_numbers_in_another_notation(values, remedy):
    with pytest.raises(InputError, match=remedy):
        kind(values)


def test_a_kind_is_found_with_empty_cells():
    values = RNG.normal(size=N)
    values[::3] = np.nan
    assert kind(values) == "gaussian"
    assert kind([None if i % 4 == 0 else i % 3 == 0 for i in range(N)]) == "bernoulli"
    assert kind(["?" if i % 4 == 0 else "abc"[i % 3] for i in range(N)]) == "categorical"


def test_inference_is_quiet(caplog):
    with caplog.at_level(logging.WARNING):
        kind([np.nan, np.inf, 1.5, -2.5] * 50)
    assert not caplog.messages
