"""Data sets from tables: splits, identifiers, holes, warnings, and the file of overrides."""

import dataclasses
import json
import logging

import jax
import numpy as np
import pytest

from vae_jax.data import load
from vae_jax.data.examples import Examples
from vae_jax.data.inputs import Inputs
from vae_jax.data.splits import CUT_TEST_RULE, cut_test
from vae_jax.data.tables import TableColumn, TableSchema, decode_rows
from vae_jax.data.tables.dataset import load_rows, load_table
from vae_jax.data.tables.description import describe_table
from vae_jax.data.tables.schema import KINDS
from vae_jax.errors import InputError
from vae_jax.likelihoods import kinds, parse_columns

pd = pytest.importorskip("pandas")
N = 60
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "id": np.arange(N) * 7 + 1000,
        "score": RNG.normal(size=N),
        "city": RNG.choice(["Rome", "Oslo", "Bern"], N),
        "kids": RNG.poisson(1.5, N),
        "grade": RNG.choice(["low", "mid", "high"], N),
        "class": RNG.choice([3, 5], N),
    }
)


def write(tmp_path, frame=FRAME, name="mine.csv"):
    frame.to_csv(tmp_path / name, index=False)
    return str(tmp_path / name)


def overrides(tmp_path, **columns):
    path = tmp_path / "kinds.json"
    path.write_text(json.dumps({"columns": columns}))
    return str(path)


def rows_of(dataset, split):
    return np.asarray(getattr(dataset, split).images)


def test_every_row_is_in_one_split_with_its_identifier(tmp_path):
    dataset = load("table", path=write(tmp_path))
    assert dataset.name == "table mine.csv"
    ids = np.concatenate(list(dataset.row_ids.values()))
    assert sorted(ids.tolist()) == FRAME["id"].tolist()
    by_id = FRAME.set_index("id")
    for split, split_ids in dataset.row_ids.items():
        decoded = decode_rows(dataset.table, rows_of(dataset, split))
        assert decoded["kids"].tolist() == by_id.loc[split_ids, "kids"].tolist()
        assert decoded["city"].tolist() == by_id.loc[split_ids, "city"].tolist()
        np.testing.assert_allclose(decoded["score"], by_id.loc[split_ids, "score"], rtol=1e-6)


def test_the_cut_is_that_of_arrays(tmp_path):
    dataset = load("table", path=write(tmp_path))
    cut = cut_test(FRAME["id"].to_numpy(), None)
    assert dataset.row_ids["test"].tolist() == cut["test_images"].tolist()
    assert dataset.preparation["test"] == CUT_TEST_RULE
    assert dataset.valid.num_examples == round(0.1 * 48)
    assert load("table", path=write(tmp_path), valid_fraction=0.5).valid.num_examples == 24


@pytest.mark.parametrize("names", [("train", "test"), ("train", "valid"), ("Train", "dev", "TEST")])
def test_a_column_names_the_split(names, tmp_path):
    split = [names[i % len(names)] for i in range(N)]
    dataset = load("table", path=write(tmp_path, FRAME.assign(split=split)))
    assert dataset.table.split == "split"
    assert "split" not in dataset.table.names
    canonical = {"Train": "train", "dev": "valid", "TEST": "test"}
    named = {canonical.get(name, name): name for name in names}
    for found, name in named.items():
        rows = {FRAME["id"][i] for i in range(N) if split[i] == name}
        ids = set(dataset.row_ids[found].tolist())
        assert ids == rows or (found == "train" and len(names) == 2 and 0 < len(ids) < len(rows))
    rules = {"valid": "validation", "test": "test"}
    for found, rule in rules.items():
        assert (dataset.preparation[rule] == "column 'split'") == (found in named)
    assert sum(map(len, dataset.row_ids.values())) == N


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("hold-out", "line 9: 'hold-out' names no split; must be train, valid or test"),
        ("", "line 9: the cell is empty; must be train, valid or test"),
    ],
)
def test_an_entry_that_names_no_split(entry, message, tmp_path):
    split = ["test" if i % 3 else "train" for i in range(N)]
    split[7] = entry
    path = write(tmp_path, FRAME.assign(part=split))
    with pytest.raises(InputError, match=f"column 'part', {message}"):
        load("table", path=path, schema=overrides(tmp_path, part="split"), missing=True)
    with pytest.raises(InputError, match="no row is of train"):
        load("table", path=write(tmp_path, FRAME.assign(split=["test", "valid"] * 30)))


def test_overrides_change_kinds_and_roles(tmp_path):
    path = overrides(
        tmp_path,
        score="student_t",
        kids="gaussian",
        grade={"kind": "ordinal", "categories": ["low", "mid", "high"]},
        city="ignore",
        **{"class": "label"},
    )
    dataset = load("table", path=write(tmp_path), schema=path)
    assert dataset.table == TableSchema(
        (
            TableColumn("score", "student_t"),
            TableColumn("kids", "gaussian"),
            TableColumn("grade", "ordinal", ("low", "mid", "high"), "text"),
        ),
        identifier="id",
        label="class",
        classes=("3", "5"),
        ignored=("city",),
        integer_ids=True,
    )
    assert dataset.table.kinds == ("student_t", "gaussian", "ordinal:3")
    assert dataset.preparation["classes"] == ["3", "5"]
    classes = FRAME.set_index("id")["class"]
    expected = classes.loc[dataset.row_ids["train"]] == 5
    assert np.asarray(dataset.train.labels).tolist() == expected.astype(int).tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"scor": "gaussian"}, "has no column 'scor'.*did you mean 'score'"),
        ({"score": "gausian"}, "column 'score' = 'gausian': unknown.*did you mean 'gaussian'"),
        ({"score": 3}, "column 'score' has 3; must be a kind"),
        ({"score": {"kind": "gaussian", "unit": "m"}}, "must be a kind, or"),
        ({"score": {"kind": "gaussian", "categories": ["a", "b"]}}, "has no categories"),
        ({"grade": {"kind": "ordinal", "categories": ["a", "a"]}}, "two or more different"),
        ({"grade": {"kind": "ordinal", "categories": "low"}}, "must be a list of texts"),
        ({"kids": "label", "class": "label"}, "'kids' and 'class' are each the label"),
        ({"city": "gaussian"}, "column 'city', line 2: '[A-Z]...' is not a number"),
        ({"score": "counts"}, r"column 'score', line 2: '0\.\d+' is not a count"),
        ({"score": "positive"}, r"column 'score', line 3: '-0\.\d+' is not above 0"),
        ({"grade": "ordinal"}, r'texts do not tell their order.*\["high", "low", "mid"\]'),
        ({"grade": "bernoulli"}, "is bernoulli, but has 3 values, 'high', 'low', 'mid'"),
        ({"grade": {"kind": "ordinal", "categories": ["low", "high"]}}, "'mid' is not one of its"),
    ],
)
def test_overrides_that_do_not_fit(columns, message, tmp_path):
    frame = FRAME.assign(score=np.where(np.arange(N) == 1, -0.5, np.abs(FRAME["score"])))
    with pytest.raises(InputError, match=message):
        load("table", path=write(tmp_path, frame), schema=overrides(tmp_path, **columns))


@pytest.mark.parametrize("text", ["", "[1]", '{"columns": 1}', '{"column": {}}', "{bad"])
def test_files_of_overrides_that_are_none(text, tmp_path):
    (tmp_path / "kinds.json").write_text(text)
    with pytest.raises(InputError, match=r'such as \{"columns": \{"age": "student_t"'):
        load("table", path=write(tmp_path), schema=str(tmp_path / "kinds.json"))
    with pytest.raises(InputError, match="No such file"):
        load("table", path=write(tmp_path), schema=str(tmp_path / "other.json"))


def test_holes_are_missing_values_if_asked_for(tmp_path):
    frame = FRAME.astype(object)
    holes = np.random.default_rng(3).random((N, 4)) < 0.2
    for number, name in enumerate(("score", "city", "kids", "grade")):
        frame.loc[holes[:, number], name] = ["", "NA", "?", "nan"][number]
    path = write(tmp_path, frame)
    with pytest.raises(InputError, match=r"column 'score', line \d+: the cell is empty"):
        load("table", path=path)
    dataset = load("table", path=path, missing=True)
    assert Inputs.of(dataset).missing
    by_id = dict(zip(FRAME["id"], holes, strict=True))
    for split, ids in dataset.row_ids.items():
        source = getattr(dataset, split)
        expected = ~np.array([by_id[i] for i in ids])
        observed = np.asarray(source.observed)[:, :4]
        np.testing.assert_array_equal(observed, expected)
        batch = source.take(np.arange(3), jax.random.key(0))
        np.testing.assert_array_equal(batch["observed"][:, :4], expected[:3])
        assert (np.asarray(batch["x"])[~np.asarray(batch["observed"])] == 0).all()


def test_labels_without_a_value_are_unlabeled_and_stay_in_train(tmp_path):
    frame = FRAME.astype(object)
    frame.loc[::2, "class"] = None
    path = write(tmp_path, frame)
    dataset = load("table", path=path, schema=overrides(tmp_path, **{"class": "label"}))
    assert (np.asarray(dataset.train.labels) == -1).sum() == N // 2
    assert np.asarray(dataset.test.labels).min() >= 0


def test_the_identity_is_of_values_texts_and_kinds(tmp_path):
    def sha256(frame=FRAME, **columns):
        schema = overrides(tmp_path, **columns) if columns else ""
        return load("table", path=write(tmp_path, frame), schema=schema).preparation["sha256"]

    same = sha256()
    assert sha256() == same
    assert sha256(FRAME[list(FRAME.columns)]) == same
    assert sha256(FRAME.replace({"city": {"Rome": "Rom"}})) != same  # equal codes
    assert sha256(kids="gaussian") != same  # equal numbers
    assert sha256(FRAME.assign(score=FRAME["score"] + 1)) != same


def test_the_form_of_the_data_goes_through_json(tmp_path):
    dataset = load("table", path=write(tmp_path))
    inputs = Inputs.of(dataset)
    values = json.loads(json.dumps(dataclasses.asdict(inputs)))
    assert Inputs.from_json(values) == inputs
    assert TableSchema.from_json(json.loads(json.dumps(dataset.preparation["table"]))) == (
        dataset.table
    )
    values["table"]["columns"][0][1] = "gausian"
    with pytest.raises(ValueError, match="gausian"):
        Inputs.from_json(values)
    assert Inputs.from_json({"shape": [3], "value_range": [0, 1], "classes": []}).table is None


def test_the_block_of_text(tmp_path):
    frame = FRAME.astype(object)
    frame.loc[4, "city"] = None
    text = describe_table(load("table", path=write(tmp_path, frame), missing=True))
    lines = text.splitlines()
    assert lines[0] == "table mine.csv: 60 rows"
    assert len(lines) == 7
    assert lines[1] == (
        "  id     identifier     1000 to 1413                    whole numbers that all differ, "
        "and the name"
    )
    assert lines[3].split()[:6] == ["city", "categorical:3", "Bern,", "Oslo,", "Rome", "1"]
    assert len({line.index(line.split()[1]) for line in lines[1:]}) == 1  # aligned


def test_rows_in_memory_are_counted_and_warned_of_once(caplog):
    """Their test set is a copy of validation, which no message names."""
    numbers = np.linspace(0, 1, 40)
    frame = pd.DataFrame({"number": np.append(numbers, numbers[:12] + 1000)})
    examples = Examples.of(frame[:40], valid=frame[40:])
    with caplog.at_level(logging.WARNING, logger="vae_jax"):
        dataset = examples.dataset(missing=True)
    assert describe_table(dataset).startswith("x: 52 rows\n")
    (warning,) = [text for text in caplog.messages if "the splits must have the same units" in text]
    assert warning.startswith("x: valid: column 'number' has mean 1e+03")


def warnings_of(path, caplog, **options):
    with caplog.at_level(logging.WARNING, logger="vae_jax"):
        load_table(path, **options)
    return caplog.messages


def test_a_category_that_train_lacks_is_told(tmp_path, caplog):
    split = ["train"] * 40 + ["test"] * 20
    frame = FRAME.assign(split=split)
    frame.loc[50, "city"] = "Nice"
    messages = warnings_of(write(tmp_path, frame), caplog)
    assert (
        "mine.csv: column 'city': no row of train has 'Nice', whose probability is not"
        in (messages[0])
    )


def test_repeated_identifiers_are_told(tmp_path, caplog):
    schema = overrides(tmp_path, city="identifier")
    [message] = warnings_of(write(tmp_path), caplog, schema=schema)
    assert message == "mine.csv: column 'city': 57 of 60 identifiers repeat another"


def test_a_column_without_a_value_in_train_is_refused(tmp_path):
    frame = FRAME.assign(split=["train"] * 40 + ["test"] * 20).astype(object)
    frame.loc[:39, "score"] = None
    path = write(tmp_path, frame)
    with pytest.raises(InputError, match="column 'score': all values of train are missing"):
        load("table", path=path, missing=True)


def test_an_extreme_value_is_told_by_column_and_line(tmp_path, caplog):
    frame = FRAME.copy()
    frame.loc[17, "score"] = 1e7
    [message] = warnings_of(write(tmp_path, frame), caplog)
    assert "line 19, column 'score' is 1e+07, and the standard deviation" in message


def test_a_mark_of_missing_values_is_named_in_columns_of_any_numbers(tmp_path, caplog):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"level": rng.normal(size=300), "visits": rng.poisson(3, 300), "free": rng.normal(size=300)}
    )
    marked = np.arange(300) % 10 == 0
    frame.loc[marked, "level"], frame.loc[marked, "visits"] = -999, 9999
    messages = [text for text in warnings_of(write(tmp_path, frame), caplog) if "train" in text]
    assert [text.partition(" in ")[0].partition(": column ")[2] for text in messages] == [
        "'level' has the value -999",
        "'visits' has the value 9999",
    ]


def test_whole_numbers_and_categories_raise_no_warning(tmp_path, caplog):
    frame = FRAME.assign(score=RNG.integers(0, 300, N), rare=[7] + [0, 1, 2] * 19 + [1, 1])
    assert not warnings_of(write(tmp_path, frame), caplog)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"values": "counts"}, "values = 'counts': the kinds of the columns"),
        ({"binarization": "static"}, "binarization = 'static': the kinds of the columns"),
        ({"streaming": True}, "streaming = True: a table is read into memory; must be False"),
        ({"valid_fraction": 0.95}, "valid_fraction"),
    ],
)
def test_options_that_tables_lack(option, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load("table", path=write(tmp_path), **option)


@pytest.mark.parametrize("rows", [1, 4])
def test_too_few_rows(rows, tmp_path):
    with pytest.raises(InputError, match=f"has {rows} rows?; at least 5 are needed"):
        load("table", path=write(tmp_path, FRAME[:rows]))


def test_no_column_to_model(tmp_path):
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=9), "k": 7})
    with pytest.raises(InputError, match=r"no column can be modelled: 'when': dates.*'k': one val"):
        load("table", path=write(tmp_path, frame))


def test_the_penguins():
    dataset = load("penguins", missing=True)
    assert dataset.name == "penguins"
    assert dataset.table.kinds == (
        *("categorical:3", "categorical:3", "gaussian", "gaussian", "gaussian", "gaussian"),
        *("bernoulli", "ordinal:3"),
    )
    sources = (dataset.train, dataset.valid, dataset.test)
    assert sum(source.num_examples for source in sources) == 344
    assert sum(int((~np.asarray(source.observed)).sum()) for source in sources) == 19
    with pytest.raises(InputError, match=r"penguins\.csv: column 'bill_length_mm', line 5"):
        load("penguins")


def test_other_rows_of_the_same_columns(tmp_path):
    dataset = load("table", path=write(tmp_path))
    source = load_rows(write(tmp_path, FRAME[:9], "other.csv"), dataset.table)
    assert source.num_examples == 9
    assert decode_rows(dataset.table, source.images)["kids"].tolist() == FRAME["kids"][:9].tolist()
    changed = FRAME[:9].assign(city=[*FRAME["city"][:2], "Nice", *FRAME["city"][3:9]])
    path = write(tmp_path, changed, "other.csv")
    with pytest.raises(InputError, match=r"other\.csv: column 'city', line 4: 'Nice' is not one"):
        load_rows(path, dataset.table)


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_survives_json(kind):
    categories = ("a", "b", "c")[: 2 if kind == "bernoulli" else 3]
    coded = kind in ("bernoulli", "categorical", "ordinal")
    column = TableColumn("x", kind, categories if coded else (), "text" if coded else "number")
    schema = TableSchema((column,), label="y", classes=("no", "yes"), ignored=("z",))
    assert TableSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"columns": []},
        {"columns": [{"name": "x"}]},
        {"columns": [{"name": "x", "kind": "normal"}]},
        {"columns": [{"name": "x", "kind": "ordinal", "categories": ["a"]}]},
        {"columns": [{"name": "x", "kind": "gaussian"}] * 2},
        {"columns": [{"name": "x", "kind": "gaussian"}], "label": 3},
    ],
)
def test_damaged_schemas(values):
    with pytest.raises((KeyError, TypeError, ValueError)):
        TableSchema.from_json(values)


def test_kinds_are_those_of_the_likelihood():
    assert set(KINDS) == set(kinds.KINDS)
    for kind in KINDS:
        categories = ("a", "b", "c") if kinds.KINDS[kind].has_categories else ()
        spec = TableColumn("x", kind, categories).spec
        [column] = parse_columns(spec)
        assert (column.kind, ":" in spec) == (kind, bool(categories))
