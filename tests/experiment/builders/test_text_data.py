"""Data sets of lines from a config."""

import dataclasses

import numpy as np
import pytest

from vae_jax.config import Config, Data
from vae_jax.config.validation import check
from vae_jax.errors import InputError
from vae_jax.experiment.builders import build_data, build_model, resolve
from vae_jax.experiment.builders.data import build_anomalies

LINES = ["CCO", "CCN", "ClC", "OCC", "NCl", "CO", "CN", "C"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.smi"
    path.write_text("\n".join(LINES))
    return str(path)


def test_the_fields_reach_the_data_set(path, tmp_path):
    split = [0, 0, 0, 0, 1, 2, 2, 0]
    np.save(tmp_path / "split.npy", split)
    data = Data("text", path=path, alphabet="characters", max_length=7)
    dataset = build_data(Config(data=dataclasses.replace(data, split_path=f"{tmp_path}/split.npy")))
    assert dataset.shape == (7,)
    assert dataset.text.tokens == ("C", "N", "O", "l")
    assert dataset.row_ids["test"].tolist() == [6, 7]
    assert build_data(Config(data=Data("text", path=path))).text.kind == "smiles"
    halves = build_data(Config(data=dataclasses.replace(data, valid_fraction=0.5)))
    assert halves.valid.num_examples == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [("missing", True), ("hide", 0.1), ("streaming", True), ("image_size", 8), ("schema", "a")],
)
def test_fields_that_lines_lack_are_refused(field, value):
    data = dataclasses.replace(Data("molecules"), **{field: value})
    with pytest.raises(InputError, match=rf"config.data.{field} = .*: does nothing without"):
        check(Config(data=data))


@pytest.mark.parametrize(
    ("field", "value"), [("alphabet", "smiles"), ("max_length", 9), ("split_path", "a.npy")]
)
def test_fields_of_lines_are_for_lines_alone(field, value):
    data = dataclasses.replace(Data("digits"), **{field: value})
    with pytest.raises(InputError, match=rf"{field} = .*data.name 'text' or 'molecules'.*; omit"):
        check(Config(data=data))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_length", 3, r"^config.data.max_length = 3: mine.smi: line 1 is 'CCO', of 3 tokens"),
        ("split_path", "none.npy", "^config.data.split_path = 'none.npy': no such file"),
        ("path", "", "^config.data.path = '': must name a file of lines"),
        ("values", "counts", "^config.data.values = 'counts': lines are tokens"),
    ],
)
def test_errors_name_the_field(field, value, message, path):
    data = dataclasses.replace(Data("text", path=path), **{field: value})
    with pytest.raises(InputError, match=message):
        build_data(Config(data=data))


def test_anomalies_are_lines_of_another_file(path, tmp_path):
    config = Config(data=Data("text", path=path))
    config.evaluation.anomaly = str(tmp_path / "other.smi")
    (tmp_path / "other.smi").write_text("ClCl other\nO\n")
    name, source = build_anomalies(config)
    assert name == "other"
    alphabet = build_data(config).text
    assert alphabet.decode_rows(np.asarray(source.images)) == ["ClCl", "O"]
    (tmp_path / "other.smi").write_text("ClCl other\nF\n")
    with pytest.raises(InputError, match=r"other.smi: line 2 is 'F': token 'F' is not in"):
        build_anomalies(config)


def test_encoder_and_decoder_have_the_heads_of_the_config():
    config = Config()
    config.data.name, config.model.network, config.model.heads = "molecules", "transformer", 2
    dataset = build_data(config)
    model = build_model(resolve(config, dataset.shape, dataset.preparation), dataset.shape)
    assert model.encoder.heads == model.likelihood.network.heads == 2
