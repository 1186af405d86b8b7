"""Runs on tables: columns from the schema, labels, identifiers, other tables, changed files."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.data.identity import data_identity
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.experiment.builders import build_anomalies, build_data
from vae_jax.experiment.run import make_run, prepare_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.training import loop, trainers

pd = pytest.importorskip("pandas")
N = 100
RNG = np.random.default_rng(0)
KINDS = ("gaussian", "categorical:3", "bernoulli", "counts")


def make_frame(seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"P{seed}{i:03d}" for i in range(N)],
            "score": rng.normal(size=N) * 1e3 + 5e3,
            "city": rng.choice(["Rome", "Oslo", "Bern"], N),
            "smokes": rng.choice(["yes", "no"], N),
            "kids": rng.poisson(1.5, N),
            "class": rng.choice(["a", "b", "c"], N),
        }
    )


FRAME = make_frame()


def make_config(tmp_path, frame=FRAME, **fields):
    frame.to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "kinds.json").write_text(json.dumps({"columns": {"class": "label"}}))
    config = Config(name="table")
    config.data.name, config.data.path = "table", str(tmp_path / "mine.csv")
    config.data.schema = str(tmp_path / "kinds.json")
    config.model.hidden, config.model.latent_dim = (8,), 2
    train = config.train
    train.num_steps, train.batch_size, train.log_every, train.eval_every = 12, 16, 6, 12
    for name, value in fields.items():
        group, leaf = name.split("__")
        setattr(getattr(config, group), leaf, value)
    return config


def test_the_columns_of_the_model_are_those_of_the_table(tmp_path, caplog):
    config = make_config(tmp_path)
    with caplog.at_level(logging.INFO):
        [run], resolved = prepare_runs(config, tmp_path / "run")
    assert run.config.model.likelihood == resolved.model.likelihood == "mixed"
    assert run.config.model.columns == resolved.model.columns == KINDS
    assert caplog.text.count("table mine.csv: 100 rows") == 1
    assert "config.data.schema overrides the kinds" in caplog.text
    assert "model.likelihood 'mixed' (a table has columns of many kinds)" in caplog.text
    assert run.dataset.preparation["table"]["columns"][1]["categories"] == ["Bern", "Oslo", "Rome"]
    json.dumps(run.dataset.preparation)


@pytest.mark.parametrize("likelihood", ["auto", "mixed"])
def test_columns_of_the_config_must_be_those_of_the_table(likelihood, tmp_path):
    fields = {"model__likelihood": likelihood}
    make_run(make_config(tmp_path, model__columns=KINDS, **fields), tmp_path)
    other = ("gaussian", "gaussian", "bernoulli", "counts")
    with pytest.raises(
        InputError, match=r"column 'city' is categorical:3 in table mine.csv; leave"
    ):
        make_run(make_config(tmp_path, model__columns=other, **fields), tmp_path)
    with pytest.raises(
        InputError, match=r"there are 3, and table mine.csv has 4; leave them empty"
    ):
        make_run(make_config(tmp_path, model__columns=KINDS[:3], **fields), tmp_path)


def test_a_checkpoint_knows_its_table_and_refuses_another(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    run = make_run(make_config(tmp_path), workdir)
    identity, inputs = data_identity(run.dataset), Inputs.of(run.dataset)
    description = Description(
        run.config, (4,), None, data=identity, inputs=inputs, units=run.model.units
    )
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(trainers.make_trainer([run]).initial(), description)
        saved = checkpoints.describe(0)
    assert saved.inputs.table == run.dataset.table
    assert saved.inputs.table.classes == saved.inputs.classes == ("a", "b", "c")
    changed = FRAME.replace({"city": {"Oslo": "Lund"}})  # the codes stay as they are
    other = make_run(make_config(tmp_path, changed), workdir)
    np.testing.assert_array_equal(other.dataset.train.images, run.dataset.train.images)
    with pytest.raises(InputError, match=r"was trained on other data than table mine\.csv holds"):
        loop.train_to_end([other], trainers.make_trainer([other]))


def test_a_label_conditions(tmp_path):
    config = make_config(tmp_path, model__conditioning="label", model__num_classes=3)
    labels = np.asarray(make_run(config, tmp_path).dataset.test.labels)
    assert set(labels.tolist()) == {0, 1, 2}
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, num_classes=2))
    with pytest.raises(InputError, match=r"num_classes = 2: table mine.csv has labels from 0 to 2"):
        make_run(config, tmp_path)


def check_rows(dataset):
    """Each identifier is of the row with its score."""
    by_id = FRAME.set_index("id")["score"]
    for split, ids in dataset.row_ids.items():
        scores = np.asarray(getattr(dataset, split).images)[:, 0]
        np.testing.assert_allclose(scores, by_id.loc[ids], rtol=1e-6)


def test_identifiers_stay_with_their_rows(tmp_path):
    dataset = build_data(make_config(tmp_path, data__leave_out=1))
    check_rows(dataset)
    assert set(np.concatenate(list(dataset.row_ids.values()))) == set(
        FRAME["id"][FRAME["class"] != "b"]
    )
    frame = FRAME.astype(object)
    frame["split"] = RNG.choice(["train", "valid", "test"], N)
    frame.loc[::3, "class"] = None
    dataset = build_data(make_config(tmp_path, frame, objective__name="m2"))
    check_rows(dataset)
    unlabeled = frame["class"].isna() & (frame["split"] != "train")
    found = np.concatenate(list(dataset.row_ids.values()))
    assert len(found) == N - unlabeled.sum()
    assert not set(frame["id"][unlabeled]) & set(found)


def test_anomalies_of_another_table_have_the_codes_of_the_first(tmp_path):
    other = make_frame(1)[::-1]
    other["city"] = other["city"].replace({"Bern": "Oslo", "Rome": "Oslo"})  # alone it would be 0
    other.to_csv(tmp_path / "other.csv", index=False)
    config = make_config(tmp_path, evaluation__anomaly=str(tmp_path / "other.csv"))
    name, source = build_anomalies(config)
    assert (name, source.num_examples) == ("other", N)
    assert np.unique(source.images[:, 1]).tolist() == [1.0]
    other.drop(columns="kids").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match=r"other.csv: no column 'kids'"):
        build_anomalies(config)


def test_messages_name_the_fields_of_the_config(tmp_path):
    hole = FRAME.astype(object)
    hole.loc[7, "city"] = None
    with pytest.raises(InputError, match=r"line 9: .*; set config.data.missing = True for missing"):
        build_data(make_config(tmp_path, hole))
    with pytest.raises(InputError, match=r"config.data.path = '.*nothing.csv': no such file"):
        build_data(make_config(tmp_path, data__path=str(tmp_path / "nothing.csv")))
    with pytest.raises(InputError, match=r"config.data.schema = .*has no column 'class'"):
        build_data(make_config(tmp_path, FRAME.drop(columns="class")))
    with pytest.raises(InputError, match=r"config.data.schema = 'x.json': does nothing without"):
        make_run(Config(data=dataclasses.replace(Config().data, schema="x.json")), tmp_path)
