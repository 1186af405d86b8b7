"""A table that no rule was written for: the export of a hospital, with its words and faults."""

import json

import numpy as np
import pytest

from vae_jax.data import load
from vae_jax.data.tables import decode_rows, read_chunks
from vae_jax.errors import InputError
from vae_jax.likelihoods import parse_columns

pd = pytest.importorskip("pandas")
N = 240
HEADER = (
    "Case ID;Admitted;Ward;Triage (1-5);Age [y];CRP mg/L;Leucocytes;Prior stays;Smoker;Outcome;"
    "Height cm;Remarks;Site"
)


def export(seed=0):
    """The lines of the file: semicolons, Windows line ends, quotes, holes of several kinds."""
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for i in range(N):
        crp = f"{np.exp(rng.normal() * 1.4 + 2):.1f}" if rng.random() > 0.1 else "N/A"
        smoker = rng.choice(["Y", "N", ""], p=[0.3, 0.5, 0.2])
        remark = f'"seen by Dr. {i}; again"' if rng.random() < 0.5 else ""
        lines.append(
            f"{i:06d};{1 + i % 28}.03.2024;{rng.choice(['ICU', 'A1', 'B2', 'None'])};"
            f"{rng.integers(1, 6)};{rng.integers(18, 95)};{crp};{rng.normal(8, 2):.2f};"
            f"{rng.poisson(0.8)};{smoker};{rng.choice(['home', 'transfer', 'died'])};"
            f"{rng.normal(170, 9):.0f};{remark};Ward 7"
        )
    return lines


@pytest.fixture
def path(tmp_path):
    (tmp_path / "export.csv").write_bytes("\r\n".join(export()).encode("utf-8-sig"))
    return str(tmp_path / "export.csv")


def test_every_column_has_the_kind_that_a_person_would_give_it(path, tmp_path):
    (tmp_path / "kinds.json").write_text(json.dumps({"columns": {"Outcome": "label"}}))
    dataset = load("table", path=path, schema=str(tmp_path / "kinds.json"), missing=True)
    kinds = dict(zip(dataset.table.names, dataset.table.kinds, strict=True))
    assert kinds == {
        "Ward": "categorical:4",  # None is a ward
        "Triage (1-5)": "ordinal:5",
        "Age [y]": "gaussian",
        "CRP mg/L": "positive",
        "Leucocytes": "gaussian",
        "Prior stays": "counts",
        "Smoker": "bernoulli",
        "Height cm": "gaussian",
    }
    assert len(parse_columns(dataset.table.kinds)) == 8
    assert dataset.table.identifier == "Case ID"
    assert dataset.table.classes == ("died", "home", "transfer")
    assert dataset.table.ignored == ("Admitted", "Remarks", "Site")
    ids = np.concatenate(list(dataset.row_ids.values()))
    assert sorted(ids.tolist()) == [f"{i:06d}" for i in range(N)]  # with their zeros
    rows = [line.split(";") for line in export()[1:]]
    absent = sum((row[5] == "N/A") + (row[8] == "") for row in rows)
    sources = (dataset.train, dataset.valid, dataset.test)
    assert sum(int((~np.asarray(source.observed)).sum()) for source in sources) == absent > 30


def test_the_file_comes_back_from_its_rows(path):
    table = load("table", path=path, missing=True).table
    assert table.names[-1] == "Height cm"
    frames = [
        decode_rows(table, chunk.x, observed=chunk.observed)
        for chunk in read_chunks(path, table, 50, missing=True)
    ]
    decoded = pd.concat(frames, ignore_index=True)
    for number, line in enumerate(export()[1:]):
        row = dict(zip(HEADER.split(";"), line.split(";"), strict=False))
        for name in ("Ward", "Outcome", "Smoker"):
            entry = decoded.loc[number, name]
            assert (entry == row[name]) if row[name] else pd.isna(entry)
        for name in ("Triage (1-5)", "Age [y]", "CRP mg/L", "Leucocytes", "Prior stays"):
            entry = decoded.loc[number, name]
            assert pd.isna(entry) == (row[name] == "N/A")
            assert pd.isna(entry) or np.float32(row[name]) == np.float32(entry)


@pytest.mark.parametrize(
    ("number", "column", "entry", "message"),
    [
        (40, 6, "8,25", "column 'Leucocytes', line 41: '8,25' is not a number; write it with a"),
        (41, 4, "unknown", "column 'Age [y]', line 42: 'unknown' is not a number"),
        (42, 6, "inf", "column 'Leucocytes', line 43: 'inf' is infinite"),
        (43, 2, "B2;C3", "line 44 has 14 values, but there are 13 columns"),
        (44, 6, "", "column 'CRP mg/L', line "),  # without missing values, the first hole
    ],
)
def test_its_mistakes_are_named(number, column, entry, message, tmp_path):
    lines = export()
    cells = lines[number].split(";")
    cells[column] = entry
    lines[number] = ";".join(cells)
    (tmp_path / "export.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load("table", path=str(tmp_path / "export.csv"), missing=bool(entry))
    assert message in str(error.value)
