"""The modes that answer for every row, against the methods of the loaded model."""

import csv
import json
import os
import shutil

import jax
import numpy as np
import pytest

import vae_jax
from vae_jax import main  # noqa: F401  # defines the flags
from vae_jax.errors import InputError
from vae_jax.experiment import cli
from vae_jax.experiment.rows import run as rows_run
from vae_jax.experiment.rows.options import RowOptions
from vae_jax.experiment.rows.run import answer_rows

KEY = jax.random.key(0)


def read(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def answer(mode, workdir, tmp_path, suffix=".npz", **options):
    path = answer_rows(mode, workdir, RowOptions(output=str(tmp_path / f"out{suffix}"), **options))
    assert os.listdir(path.parent) == [path.name]  # no temporary file is left
    return read(path) if suffix == ".npz" else list(csv.DictReader(open(path)))


@pytest.fixture
def table(runs):
    return runs("table")


@pytest.fixture
def images(runs):
    return runs("images")


def arrays(workdir):
    return read(workdir.parent / f"{workdir.name}.npz")


def test_scores_are_those_of_the_model_and_say_why(table, tmp_path):
    x = arrays(table)["test_x"].copy()
    x[3, 1] += 5  # out of the line of the first column
    x[7, 2] = 200
    np.savez(tmp_path / "data.npz", x=x)
    (tmp_path / "out").mkdir()
    scores = answer("score", table, tmp_path / "out", data=str(tmp_path / "data.npz"), draws=20)
    np.testing.assert_array_equal(scores["row"], np.arange(40))
    model = vae_jax.load(table)
    seed_keys = jax.random.split(jax.random.key(model.config.evaluation.seed), 3)
    expected = model.explain(seed_keys[1], x, num_samples=20)
    for name in ("elbo", "log_px", "ess", "distortion", "rate"):
        np.testing.assert_allclose(scores[name], getattr(expected, name), rtol=1e-5)
    np.testing.assert_allclose(expected.columns.sum(1), expected.distortion, rtol=1e-4)
    assert scores["flag"][[3, 7]].all()
    assert scores["flag"].mean() < 0.2
    assert scores["top_column"][3] in ("column_0", "column_1")
    assert scores["top_column"][7] == "column_2"
    stored = json.loads((table / "score.json").read_text())
    medians = np.array([stored["medians"][f"column_{c}"] for c in range(3)])
    np.testing.assert_allclose(scores["excess"], expected.columns - medians, atol=1e-4)
    assert stored["draws"] == 20
    assert stored["quantile"] == 0.99
    np.testing.assert_array_equal(scores["flag"], -scores["log_px"] > stored["threshold"])


@pytest.mark.slow
def test_the_threshold_is_the_quantile_of_validation(table, tmp_path):
    x = arrays(table)["valid_x"]
    np.savez(tmp_path / "data.npz", x=x)
    (tmp_path / "out").mkdir()
    options = {"data": str(tmp_path / "data.npz"), "draws": 200, "flag_quantile": 0.5}
    scores = answer("score", table, tmp_path / "out", **options)
    assert abs(scores["flag"].sum() - 30) <= 2  # other draws
    np.testing.assert_allclose(np.median(scores["excess"], axis=0), 0, atol=0.05)


def test_one_draw_has_no_log_px(table, tmp_path):
    scores = answer("score", table, tmp_path, draws=1)
    assert {"elbo", "excess", "flag"} <= scores.keys()
    assert not {"log_px", "ess"} & scores.keys()


def test_parts_change_nothing(table, tmp_path, monkeypatch):
    """Rows in several parts, the last incomplete, in CSV and in .npz."""
    x = np.tile(arrays(table)["test_x"], (20, 1))  # 800 rows, 256 in a block
    np.savez_compressed(tmp_path / "data.npz", x=x)
    options = {"data": str(tmp_path / "data.npz"), "draws": 2}
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    whole = answer("score", table, folders[0], **options)
    monkeypatch.setattr(rows_run, "CALL_BLOCKS", 1)
    parts = answer("score", table, folders[1], **options)
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values)
    lines = answer("score", table, folders[2], ".csv", **options)
    assert len(lines) == 800
    for name in ("elbo", "log_px", "excess_column_2"):
        values = whole["excess"][:, 2] if name.startswith("excess") else whole[name]
        np.testing.assert_array_equal(np.float32([line[name] for line in lines]), values)
    assert [line["flag"] for line in lines] == [str(flag) for flag in whole["flag"]]
    assert [line["row"] for line in lines] == [str(number) for number in range(800)]


def test_codes_and_reconstructions(table, tmp_path):
    x = arrays(table)["test_x"]
    model = vae_jax.load(table)
    for name in "ab":
        (tmp_path / name).mkdir()
    codes = answer("encode", table, tmp_path / "a")
    q = model.encode(x)
    np.testing.assert_allclose(codes["z"], q.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(codes["sd"], q.stddev, rtol=1e-5)
    lines = answer("reconstruct", table, tmp_path / "b", ".csv")
    assert list(lines[0]) == ["row", "column_0", "column_1", "column_2"]
    result = [[float(line[f"column_{c}"]) for c in range(3)] for line in lines]
    np.testing.assert_allclose(result, model.reconstruct(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_images_of_a_conditional_model(images, tmp_path):
    """Bytes with the names of classes; the test split is binarized, other data as it."""
    data = arrays(images)
    np.savez(tmp_path / "data.npz", images=data["test_images"], labels=data["test_labels"])
    for name in "abcde":
        (tmp_path / name).mkdir()
    own = answer("score", images, tmp_path / "a", draws=300)
    other = answer("score", images, tmp_path / "b", draws=300, data=str(tmp_path / "data.npz"))
    assert not {"excess", "top_column"} & own.keys()
    np.testing.assert_allclose(own["log_px"], other["log_px"], atol=1)
    result = answer("reconstruct", images, tmp_path / "c", data=str(tmp_path / "data.npz"))
    model = vae_jax.load(images)
    expected = model.reconstruct(data["test_images"], y=data["test_labels"])
    np.testing.assert_allclose(result["x"], expected, atol=1e-5)
    draws = answer("sample", images, tmp_path / "d", num_samples=5, label="b")
    assert draws["x"].shape == (5, 4, 4, 1)
    assert set(np.unique(draws["x"])) <= {0, 1}
    means = answer("sample", images, tmp_path / "e", num_samples=300, label="1", means=True)
    assert 0 < means["x"].min() < means["x"].max() < 1
    assert set(draws["y"]) == set(means["y"]) == {"b"}
    with pytest.raises(InputError, match="label: missing; the model is conditional"):
        answer("sample", images, tmp_path)
    with pytest.raises(InputError, match="y = 'e': no such class; allowed are a, b, c, d"):
        answer("sample", images, tmp_path, label="e")
    with pytest.raises(InputError, match=r"writes images as arrays; use a name in \.npz"):
        answer("sample", images, tmp_path, ".csv", label="a")
    np.save(tmp_path / "data.npy", data["test_images"])
    with pytest.raises(InputError, match=r"data.npy': has no labels, and the model is conditional"):
        answer("score", images, tmp_path, data=str(tmp_path / "data.npy"))


def test_more_samples_begin_with_the_same(table, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    few = answer("sample", table, tmp_path / "a", num_samples=3)["x"]
    many = answer("sample", table, tmp_path / "b", num_samples=600, temperature=1.0)["x"]
    assert many.shape == (600, 3)
    np.testing.assert_allclose(many[:3], few, rtol=1e-5, atol=1e-6)
    assert len(np.unique(many[:, 0])) > 590
    assert abs(many[:, 2].mean() - 100) < 15
    assert many[:, 2].std() > 3  # draws of p(x | z), not means


def test_files_are_not_overwritten_and_nothing_half_remains(table, tmp_path, monkeypatch):
    answer("encode", table, tmp_path)
    before = (tmp_path / "out.npz").read_bytes()
    with pytest.raises(InputError, match=r"out.npz': exists; .* --overwrite"):
        answer("encode", table, tmp_path)
    answer("encode", table, tmp_path, overwrite=True)
    assert (tmp_path / "out.npz").read_bytes() == before

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rows_run.Progress, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        answer("reconstruct", table, tmp_path, overwrite=True)
    assert os.listdir(tmp_path) == ["out.npz"]
    assert (tmp_path / "out.npz").read_bytes() == before
    data = str(tmp_path / "out.npz")
    with pytest.raises(InputError, match="is the file of the data"):
        answer("encode", table, tmp_path, data=data, overwrite=True)
    with pytest.raises(InputError, match=r"data = .none\.npz.: no such file"):
        answer("encode", table, tmp_path, data="none.npz", overwrite=True)
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"must be an \.npz.*in Excel, save it as CSV"):
        answer("encode", table, tmp_path, data=str(tmp_path / "rows.xlsx"), overwrite=True)


BAD = {
    "width": ({"x": np.zeros((5, 4))}, r"'x' has shape \(5, 4\); .* \[N, 3\], rows of 3 columns"),
    "names": ({"a": np.zeros((5, 3)), "b": np.zeros(5)}, r"no array of rows; .* \['a', 'b'\]"),
    "two": ({"x": np.zeros((5, 3)), "data": np.zeros((5, 3))}, "could each be the rows"),
    "labels": ({"x": np.zeros((5, 3)), "y": np.zeros(4)}, "'y' has 4 rows, 'x' has 5"),
    "empty": ({"x": np.zeros((0, 3))}, "'x' has no rows"),
    "objects": ({"x": np.array([None, 1])}, "holds objects"),
    "nan": ({"x": np.full((5, 3), np.nan)}, "NaN"),
    "scale": ({"x": np.full((5, 3), 1e6)}, "x has values from 1e"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_are_refused(case, table, tmp_path):
    values, message = BAD[case]
    np.savez(tmp_path / "data.npz", **values)
    with pytest.raises(InputError, match=message):
        answer("encode", table, tmp_path, data=str(tmp_path / "data.npz"))
    assert os.listdir(tmp_path) == ["data.npz"]


def test_column_major_and_the_test_split_of_several(table, tmp_path, caplog):
    x = arrays(table)["test_x"]
    np.savez(tmp_path / "data.npz", test_x=np.asfortranarray(x), train_x=x[:9])
    (tmp_path / "out").mkdir()
    caplog.set_level("INFO", "vae_jax")
    codes = answer("encode", table, tmp_path / "out", data=str(tmp_path / "data.npz"))
    np.testing.assert_allclose(codes["z"], vae_jax.load(table).encode(x).mean, rtol=1e-5, atol=1e-6)
    assert "reading 'test_x', not train_x" in caplog.text


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("encode", {"draws": 3}, "draws = 3: does nothing with --mode=encode, only with score"),
        ("sample", {"data": "x.npz"}, "data = 'x.npz': does nothing with --mode=sample"),
        ("score", {"draws": 0}, "draws = 0: must be at least 1"),
        ("score", {"flag_quantile": 99.0}, "flag_quantile = 99.0: must be at least 0"),
        ("sample", {"temperature": 0.0}, "temperature = 0.0: must be greater than 0"),
        ("sample", {"label": "a"}, "label = 'a': the model is not conditional; omit it"),
        ("encode", {"output": "x.txt"}, "output = 'x.txt': must end with .csv"),
        ("encode", {"data": "none.npz"}, "data = 'none.npz': no such file"),
    ],
)
def test_options_that_are_refused(mode, options, message, table):
    with pytest.raises(InputError, match=message):
        answer_rows(mode, table, RowOptions(**options))


def test_runs_that_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="no run there"):
        answer_rows("encode", tmp_path, RowOptions())
    shutil.copytree(table, tmp_path / "run")
    saved = json.loads((table / "config.json").read_text())
    saved["train"]["num_steps"] = 600
    (tmp_path / "run" / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match="the run is not finished, at step 60 of 600"):
        answer_rows("encode", tmp_path / "run", RowOptions())
    saved["sweep"]["seed"] = [0, 1]
    (tmp_path / "run" / "config.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=r"holds a sweep; .*seed=0, seed=1"):
        answer_rows("encode", tmp_path / "run", RowOptions())


def test_the_command_line(table, tmp_path, capsys):
    with pytest.raises(InputError, match=r"mode = 'scor': unknown; .* did you mean 'score'"):
        cli.run("scor", None, str(table))
    with pytest.raises(InputError, match="workdir: missing"):
        cli.run("score", None, None)
    path = tmp_path / "codes.csv"
    cli.run("encode", None, str(table), rows=RowOptions(output=str(path)))
    assert capsys.readouterr().out == f"encode: {path}\n"
    header = path.read_text().splitlines()[0]
    assert header == "row,z_0,z_1,sd_0,sd_1"
