"""The checkpoint that is measured: its score, which checkpoints compete, and early stopping."""

import inspect
import json
import logging
import math
import pathlib
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import small

import vae_jax
from vae_jax import objectives, visualize
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders, evaluate, metrics, report, results
from vae_jax.experiment.measurement.evaluator import split_keys
from vae_jax.experiment.measurement.scores import make_scorers
from vae_jax.experiment.metrics import udr
from vae_jax.experiment.run import make_run, make_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.sweeps import settings
from vae_jax.experiment.training import loop, trainers
from vae_jax.objectives.loss import one_pass


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])


def steps_of(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def valid_lines(workdir):
    return [line for line in read_metrics(workdir) if line["split"] == "valid"]


# The runs that were measured at the wrong checkpoint.


def digits(num_steps=400, **changes):
    """Return the config of a run on digits with a validation every 100 steps."""
    config = small(train__num_steps=num_steps, train__eval_every=100, train__log_every=100)
    config.model.hidden, config.model.latent_dim = (64,), 10
    config.model.likelihood, config.data.binarization = "gaussian", "none"
    for path, value in changes.items():
        group, name = path.split("__")
        setattr(getattr(config, group), name, value)
    return config


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"objective__name": "wae", "objective__mmd_weight": 1.0}, id="wae"),
        pytest.param(
            {"objective__name": "info", "objective__info_alpha": 1.0, "objective__mmd_weight": 3.0},
            id="mmd_vae",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_model_without_a_rate_in_its_loss_is_not_judged_by_the_elbo(fields, tmp_path):
    numbers = loop.train_and_evaluate(digits(**fields), tmp_path)
    lines = valid_lines(tmp_path)
    by_elbo = max(lines, key=lambda line: line["elbo"])
    assert numbers["step"] == 400
    assert by_elbo["step"] < 400  # what was measured before
    assert numbers["valid"]["mse"] < 0.8 * by_elbo["mse"]
    selection = numbers["selection"]
    assert selection["score_name"] == f"negative loss of {fields['objective__name']!r}"
    assert selection["score"] == max(line["score"] for line in lines) == lines[-1]["score"]


def test_checkpoints_of_a_ramp_do_not_compete(tmp_path):
    config = digits(
        350, objective__beta=8.0, objective__beta_schedule="linear", objective__beta_steps=300
    )
    config.model.likelihood, config.data.binarization = "bernoulli", "dynamic"
    config.optimizer.learning_rate, config.train.eval_every = 1e-2, 50
    numbers = loop.train_and_evaluate(config, tmp_path)
    lines = valid_lines(tmp_path)
    by_elbo = max(lines, key=lambda line: line["elbo"])
    assert by_elbo["step"] < 300  # what was measured before
    assert by_elbo["verdict"].startswith("healthy")
    assert numbers["step"] >= 300
    assert numbers["metrics"]["collapse"]["verdict"] == "collapsed"
    # All scores are of the same function, at beta = 8.
    for line in lines:
        bound = -line["distortion"] - 8 * line["rate"]
        assert line["score"] == pytest.approx(bound, rel=0.05)


def test_an_iwae_is_judged_by_its_own_bound(tmp_path):
    config = digits(300, objective__name="iwae", objective__num_samples=10)
    numbers = loop.train_and_evaluate(config, tmp_path)
    lines = valid_lines(tmp_path)
    assert numbers["step"] == max(lines, key=lambda line: line["score"])["step"]
    assert all(line["score"] > line["elbo"] for line in lines)  # K = 10 draws against one
    model = vae_jax.load(tmp_path)
    assert model.step == numbers["step"]
    assert model.last_step == numbers["selection"]["last_step"] == 300
    assert model.selection_score == numbers["selection"]["score"]
    assert model.score_name == "negative loss of 'iwae'"
    assert (model.inputs.shape, model.inputs.value_range) == ((8, 8, 1), (0.0, 1.0))
    with pytest.raises(InputError, match="values from 255 to 255, the model was trained on 0 to 1"):
        model.encode(np.full((2, 8, 8), 255.0))


# The score.


def score_of(config, workdir, step):
    """Return the run, parameters, the score, and the one batch and key that it is made of."""
    config.train.batch_size = 256  # all of validation in one batch
    run = make_run(config, workdir)
    x = jnp.zeros((1, *run.dataset.shape))
    params = run.model.init(jax.random.key(5), x, jax.random.key(6))
    (scorer,) = make_scorers([run])
    key_data, key = jax.random.split(jax.random.fold_in(split_keys(run)["valid"], 0))
    batch = run.dataset.valid.take(jnp.arange(run.dataset.valid.num_examples), key_data)
    return run, params, scorer(params, step), batch, key


def direct(run, params, batch, key, objective, num_samples=1, **hyper_parameters):
    outputs = one_pass(run.model, params, batch, key, num_samples=num_samples)
    return -float(objective(outputs, **hyper_parameters)[0])


@pytest.mark.parametrize("step", [20, 40])
def test_schedules_have_their_final_values(step, tmp_path):
    config = small(
        objective__beta=4.0,
        objective__beta_schedule="linear",
        objective__beta_steps=1000,
        objective__capacity=3.0,
        objective__capacity_steps=2000,
    )
    run, params, score, batch, key = score_of(config, tmp_path, step)
    expected = direct(run, params, batch, key, objectives.elbo, beta=4.0, capacity=3.0)
    assert score == pytest.approx(expected, rel=1e-5)
    assert builders.schedules_end(config) == 2000


def test_the_weights_of_the_config_are_those_of_the_score(tmp_path):
    config = small(objective__name="renyi", objective__num_samples=5, objective__renyi_alpha=0.3)
    run, params, score, batch, key = score_of(config, tmp_path, 40)
    expected = direct(run, params, batch, key, objectives.renyi, num_samples=5, alpha=0.3)
    assert score == pytest.approx(expected, rel=1e-5)


def test_the_critic_has_no_part_in_the_score(tmp_path):
    config = small(objective__name="factor", objective__tc_weight=7.0)
    config.objective.critic_hidden = (8,)
    run, params, score, batch, key = score_of(config, tmp_path, 40)
    _, metrics = run.loss_fn(params, batch, key, jnp.int32(0))
    expected = -(metrics["distortion"] + metrics["rate"] + 7.0 * metrics["tc"])
    assert score == pytest.approx(float(expected), rel=1e-5)
    assert float(metrics["critic_loss"]) > 0.1


@pytest.mark.slow
def test_m2_is_scored_with_and_without_labels(tmp_path):
    config = small(objective__name="m2", objective__classifier_weight=3.0)
    config.model.conditioning, config.model.num_classes = "label", 10
    config.data.num_labels = 431
    run, params, score, batch, key = score_of(config, tmp_path, 40)
    share = 431 / run.dataset.train.num_examples
    unlabeled = {**batch, "y": jnp.full_like(batch["y"], -1)}
    known, _ = run.loss_fn(params, batch, key, jnp.int32(0))
    unknown, metrics = run.loss_fn(params, unlabeled, key, jnp.int32(0))
    assert metrics["labeled"] == 0
    assert abs(known - unknown) > 1
    assert score == pytest.approx(-float(share * known + (1 - share) * unknown), rel=1e-5)


def codes_config():
    config = small(model__kind="vq", objective__name="vq", objective__commitment=0.7)
    config.model.latent_dim = Config().model.latent_dim
    config.codes.grid, config.codes.num_codes, config.codes.code_dim = (2, 2), 8, 2
    config.codes.prior, config.codes.prior_steps = "pixelcnn", 20
    config.codes.prior_features, config.codes.prior_layers = 4, 1
    config.train.num_steps, config.train.eval_every = 60, 10
    return config


@pytest.mark.slow
def test_the_phases_of_codes_have_their_own_scores(tmp_path):
    config = codes_config()
    run, params, score, batch, key = score_of(config, tmp_path, 40)
    expected = direct(run, params, batch, key, objectives.vq, commitment=0.7)
    assert score == pytest.approx(expected, rel=1e-5)
    outputs = one_pass(run.model, params, batch, key)
    (scorer,) = make_scorers([run])
    assert scorer(params, 50) == pytest.approx(float(outputs.log_pz.mean()), rel=1e-5)
    names = [builders.name_score(config, step) for step in (10, 40, 50, 60)]
    assert names[0] == names[1] == "negative loss of 'vq' in the phase of the model"
    assert names[2] == names[3] == "negative loss of 'vq' in the phase of the prior"


@pytest.mark.slow
def test_the_model_of_codes_does_not_compete_with_its_prior(tmp_path):
    numbers = loop.train_and_evaluate(codes_config(), tmp_path)
    assert numbers["step"] in (50, 60)
    assert numbers["selection"]["score_name"].endswith("the prior")


def test_batches_are_of_equal_size_and_weigh_by_their_examples(tmp_path):
    config = small(objective__beta=2.0, train__batch_size=64)
    run = make_run(config, tmp_path)
    x = jnp.zeros((1, *run.dataset.shape))
    params = run.model.init(jax.random.key(5), x, jax.random.key(6))
    num_examples = run.dataset.valid.num_examples
    size = math.ceil(num_examples / math.ceil(num_examples / 64))
    values, weights = [], []
    for number in range(math.ceil(num_examples / 64)):
        key = jax.random.fold_in(split_keys(run)["valid"], number)
        key_data, key = jax.random.split(key)
        index = np.arange(number * size, (number + 1) * size)
        batch = run.dataset.valid.take(jnp.asarray(index % num_examples), key_data)
        values.append(direct(run, params, batch, key, objectives.elbo, beta=2.0))
        weights.append((index < num_examples).sum())
    assert sum(weights) == num_examples
    assert weights[-1] > 0.9 * size
    (scorer,) = make_scorers([run])
    assert scorer(params, 40) == pytest.approx(np.average(values, weights=weights), rel=1e-5)


def test_trials_share_a_program_and_have_their_own_score(tmp_path):
    config = small(sweep__beta=(0.5, 4.0))
    runs = make_runs(config, tmp_path)
    x = jnp.zeros((1, *runs[0].dataset.shape))
    params = runs[0].model.init(jax.random.key(5), x, jax.random.key(6))
    together = [scorer(params, 40) for scorer in make_scorers(runs)]
    alone = [make_scorers([run])[0](params, 40) for run in runs]
    assert together == pytest.approx(alone, rel=1e-5)
    assert abs(together[0] - together[1]) > 0.5


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"num_samples": 3}, True),
        ({"beta_schedule": "linear", "beta_steps": 9, "kl_balancing": 1.0}, True),
        ({"beta": 1.01}, False),
        ({"kl_balancing": 1.0}, False),
        ({"free_bits": 0.1}, False),
        ({"layer_free_bits": 0.1}, False),
        ({"capacity": 0.1}, False),
        ({"corruption": "gaussian", "corruption_level": 0.1}, False),
        ({"name": "iwae"}, False),
    ],
)
def test_which_objectives_end_as_the_plain_elbo(fields, expected):
    config = Config()
    for name, value in fields.items():
        setattr(config.objective, name, value)
    assert builders.is_elbo(config) == expected


ELBO_OPTIONS = {
    name: default
    for name, parameter in inspect.signature(objectives.elbo).parameters.items()
    if (default := parameter.default) is not parameter.empty
}


def test_each_option_of_the_elbo_is_off_by_default():
    config = Config()
    assert builders.loss.values_at(config.objective, 0) == ELBO_OPTIONS
    assert builders.is_elbo(config)


@pytest.mark.parametrize("name", ELBO_OPTIONS)
def test_an_elbo_with_an_option_is_not_the_plain_one(name):
    config = Config()
    setattr(config.objective, name, 0.5)
    assert not builders.is_elbo(config)


@pytest.mark.parametrize("schedule", ["linear", "sigmoid", "cyclical"])
def test_a_schedule_that_ends_at_one_ends_as_the_plain_elbo(schedule):
    config = Config()
    config.objective.beta_schedule, config.objective.beta_steps = schedule, 7
    assert builders.is_elbo(config)
    config.objective.beta = 0.99
    assert not builders.is_elbo(config)


@pytest.mark.parametrize("schedule", ["linear", "sigmoid", "cyclical"])
def test_beta_is_final_from_the_end_of_its_schedule_on(schedule):
    c = Config().objective
    c.beta, c.beta_schedule, c.beta_steps, c.beta_cycles = 3.0, schedule, 40, 4
    config = Config(objective=c)
    end = builders.schedules_end(config)
    beta = builders.loss.BETAS[schedule](c)
    assert float(beta(jnp.int32(end))) == float(beta(jnp.int32(2**30))) == 3.0
    assert end == 40
    assert float(beta(jnp.int32(end // 2))) < 3.0


# Which checkpoints compete.


def store(workdir, entries, keep=2, config=None):
    """Save checkpoints of (step, score, name, competes), pruning after each."""
    config = config or small()
    state = trainers.SingleRunTrainer(make_run(config, workdir)).initial()
    with Checkpoints(workdir, keep=keep) as checkpoints:
        for step, *entry in entries:
            saved = state.replace(step=jnp.asarray(step))
            checkpoints.save(saved, Description(config, (8, 8, 1), *entry))
            checkpoints.prune()


@pytest.mark.parametrize(
    ("entries", "expected", "kept"),
    [
        # Before the end of the ramp, a score is only one to look at.
        ([(1, -1.0, "a", False), (2, -9.0, "a"), (3, -5.0, "a"), (4, -7.0, "a")], 3, [3, 4]),
        # A score of another name, as of an earlier phase, is no rival.
        ([(1, -1.0, "a"), (2, -9.0, "b"), (3, -5.0, "b"), (4, -6.0, "b")], 3, [3, 4]),
        # The earlier of two equal ones; one only to resume from is last and has no score.
        ([(1, -2.0, "a"), (2, -2.0, "a"), (3, -4.0, "a"), (4, None)], 1, [1, 2, 3, 4]),
        # None competes yet: the last one that was validated.
        ([(1, -1.0, "a", False), (2, -2.0, "a", False), (3, None)], 2, [1, 2, 3]),
    ],
)
def test_the_measured_one(entries, expected, kept, tmp_path):
    store(tmp_path, entries)
    assert steps_of(tmp_path) == kept
    model = vae_jax.load(tmp_path)
    assert model.step == expected
    assert model.last_step == max(step for step, *entry in entries if entry[0] is not None)


def test_the_last_one_on_request(tmp_path):
    store(tmp_path, [(1, -1.0), (2, -2.0), (3, None)], config=small(train__select="last"))
    model = vae_jax.load(tmp_path)
    assert (model.step, model.last_step, model.selection_score) == (2, 2, -2.0)
    other = vae_jax.load(tmp_path, step=1)
    assert (other.step, other.last_step, other.selection_score) == (1, 2, -1.0)
    with pytest.raises(InputError, match=r"step = 9: no such checkpoint .* \[1, 2, 3\]"):
        vae_jax.load(tmp_path, step=9)


def test_a_run_that_ends_within_its_schedule_says_so(tmp_path, caplog):
    config = small(objective__beta_schedule="linear", objective__beta_steps=41)
    with caplog.at_level(logging.WARNING):
        numbers = loop.train_and_evaluate(config, tmp_path)
    text = "the last, since none competes before the schedules end at step 41"
    assert text in caplog.text
    selection = numbers["selection"]
    assert (selection["step"], selection["last_step"], selection["rule"]) == (40, 40, "last")
    assert text in selection["text"]
    assert text in results.describe(numbers)
    page = report.write_report(tmp_path).read_text()
    assert f"Measured at step 40 of 40, {text}. Score on validation: ELBO, −" in page


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        loop.train_and_evaluate(small(objective__beta=2.0), workdir)
    return workdir


def test_a_checkpoint_of_an_earlier_version_loads(finished, tmp_path):
    copy = pathlib.Path(shutil.copytree(finished, tmp_path / "copy"))
    for step, score in ((20, -1.0), (40, -2.0)):
        path = copy / "checkpoints" / str(step) / "description" / "metadata"
        values = json.loads(path.read_text())
        assert {"score_name", "competes"} <= values.keys()
        for group, name in (("train", "select"), ("train", "patience")):
            del values["config"][group][name]
        old = {name: values[name] for name in ("config", "event_shape")}
        path.write_text(json.dumps(old | {"score": score}))
    model = vae_jax.load(copy)
    assert (model.step, model.last_step, model.selection_score) == (20, 40, -1.0)
    assert model.score_name == "validation score of an earlier version"
    assert vae_jax.load(copy, step=40).step == 40
    numbers = evaluate.evaluate_workdir(copy)
    assert numbers["step"] == 20
    assert "earlier version" in numbers["selection"]["text"]


@pytest.mark.parametrize("change", [{"competes": 1}, {"score_name": None}, {"score": "x"}])
def test_a_damaged_description_is_found(finished, tmp_path, change):
    copy = pathlib.Path(shutil.copytree(finished, tmp_path / "copy"))
    path = copy / "checkpoints" / "40" / "description" / "metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"checkpoint 40 .* is damaged"):
        vae_jax.load(copy, step=40)
    assert vae_jax.load(copy).step == 20


def test_another_rule_for_a_finished_run(finished, tmp_path):
    copy = pathlib.Path(shutil.copytree(finished, tmp_path / "copy"))
    path = copy / "checkpoints" / "20" / "description" / "metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 1.0}))
    assert evaluate.evaluate_workdir(copy)["step"] == 20
    last = small(objective__beta=2.0, train__select="last")
    numbers = evaluate.evaluate_workdir(copy, last)
    assert numbers["selection"]["rule"] == "last"
    assert numbers["step"] == 40


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train__select": "bets"}, r"config\.train\.select = 'bets'.*did you mean 'best'"),
        ({"train__patience": -1}, r"config\.train\.patience = -1: must be at least 0"),
    ],
)
def test_invalid_fields(fields, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loop.train_and_evaluate(small(**fields), tmp_path / "run")


# Early stopping.


def stop_early(monkeypatch, config, workdir, *tables):
    """Train with these scores of the runs, one for each validation; returns the selections."""

    class GivenScorer:
        def __init__(self, run, table):
            self.run, self.table = run, table

        def __call__(self, params, step):
            return self.table[step // self.run.config.train.eval_every - 1]

        def compile_in(self, pool, params):
            """Nothing to compile."""

    def make(runs):
        return [GivenScorer(run, table) for run, table in zip(runs, tables, strict=True)]

    monkeypatch.setattr(loop, "make_scorers", make)
    monkeypatch.setattr(loop, "evaluate_runs", lambda runs, bests, *_, **__: bests)
    return [best.selection for best in loop.train_and_evaluate(config, workdir)]


def patient(**changes):
    return small(
        objective__beta=2.0, train__patience=2, train__eval_every=10, train__num_steps=80, **changes
    )


RISING = [-9, -8, -7, -6, -5, -4, -3, -2]
PEAK_AT_20 = [-9, -1, -2, -2, -0.5, -4, -4, -4]  # the better fifth one comes too late


def test_patience_ends_training_and_resuming_does_not_continue(tmp_path, monkeypatch):
    before = None
    for _ in range(2):
        (selection,) = stop_early(monkeypatch, patient(), tmp_path, PEAK_AT_20)
        assert (selection.step, selection.last_step) == (20, 40)
        assert [line["step"] for line in valid_lines(tmp_path)] == [10, 20, 30, 40]
        assert steps_of(tmp_path) == [20, 30, 40]
        assert (tmp_path / "metrics.jsonl").read_text() == (
            before or (tmp_path / "metrics.jsonl").read_text()
        )
        before = (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("table", "beta_steps", "expected"),
    [
        ([math.nan] * 8, 0, (80, 80)),  # no score is finite
        ([-9, -1, math.nan, -math.inf, 0, 0, 0, 0], 0, (20, 40)),
        (RISING, 0, (80, 80)),
        ([-3.0] * 8, 0, (10, 30)),  # an equal score is no better one
        (RISING[::-1], 35, (40, 60)),  # it begins after the schedules
    ],
)
def test_when_patience_ends(table, beta_steps, expected, tmp_path, monkeypatch):
    config = patient()
    if beta_steps:
        config.objective.beta_schedule, config.objective.beta_steps = "linear", beta_steps
    (selection,) = stop_early(monkeypatch, config, tmp_path, table)
    assert (selection.step, selection.last_step) == expected


@pytest.mark.slow
def test_patience_does_not_end_the_phase_before_the_prior(tmp_path, monkeypatch):
    config = codes_config()
    config.train.patience = 1
    (selection,) = stop_early(monkeypatch, config, tmp_path, RISING[::-1])
    assert (selection.step, selection.last_step) == (50, 60)


@pytest.mark.slow
@pytest.mark.parametrize("select", ["best", pytest.param("last", marks=pytest.mark.slow)])
def test_a_trial_that_stops_is_the_run_alone_while_others_train(select, tmp_path, monkeypatch):
    config = patient(train__select=select)
    (alone,) = stop_early(monkeypatch, config, tmp_path / "alone", PEAK_AT_20)
    config = patient(train__select=select, sweep__seed=(3, 4))
    stopped, other = stop_early(monkeypatch, config, tmp_path / "swept", PEAK_AT_20, RISING)
    assert stopped == alone
    assert other.last_step == 80
    trial = tmp_path / "swept" / "trials" / "seed=3"
    assert [line["step"] for line in read_metrics(trial)] == [
        line["step"] for line in read_metrics(tmp_path / "alone")
    ]
    models = vae_jax.load(trial), vae_jax.load(tmp_path / "alone")
    chex.assert_trees_all_close(models[0].params, models[1].params, rtol=1e-4, atol=1e-5)


def test_a_sweep_stops_once_all_trials_have(tmp_path, monkeypatch):
    tables = PEAK_AT_20, [-9, -1, -0.5, -2, -2, 0, 0, 0]
    for _ in range(2):
        selections = stop_early(monkeypatch, patient(sweep__seed=(3, 4)), tmp_path, *tables)
        assert [selection.step for selection in selections] == [20, 30]
        assert [selection.last_step for selection in selections] == [40, 50]
        for name in ("seed=3", "seed=4"):  # the first one's is only to resume from
            assert steps_of(tmp_path / "trials" / name)[-1] == 50


# Choosing between models.


def test_a_sweep_chooses_by_validation_and_reports_test():
    def trial(valid, test):
        return {"valid": {"elbo": valid}, "test": {"elbo": test}}

    trials = {"beta=1": trial(-3.0, -9.0), "beta=2": trial(-4.0, -1.0)}
    best = settings.best_setting(settings.summarize_settings(trials, {}))["best"]
    assert (best["setting"], best["by"]) == ("beta=1", "elbo on validation")
    assert (best["valid"], best["test"]) == (-3.0, -9.0)
    points = {
        name: {split: {"elbo": -math.inf, "distortion": d} for split in ("valid", "test")}
        for name, d in (("beta=1", 3.0), ("beta=2", 2.0))
    }
    best = settings.best_setting(settings.summarize_settings(points, {}))["best"]
    assert best["setting"] == "beta=2"
    assert settings.best_setting({}) == {}


def test_the_best_setting_is_not_that_of_the_luckiest_seed():
    def trial(elbo):
        numbers = {"elbo": elbo, "elbo_stderr": 0.1, "kl/0": 1.0, "active_units": 2}
        return {"valid": numbers, "test": numbers | {"elbo": elbo - 1}}

    values = {"beta=1,seed=0": -10.0, "beta=1,seed=1": -20.0, "beta=2,seed=0": -12.0}
    values |= {"beta=2,seed=1": -13.0, "beta=3,seed=0": -5.0}
    trials = {name: trial(value) for name, value in values.items()}
    failed = {"beta=3,seed=1": "diverged"}
    found = settings.summarize_settings(trials, failed)
    assert list(found) == ["beta=1", "beta=2", "beta=3"]
    assert found["beta=1"]["num_trials"] == 2
    valid = found["beta=1"]["valid"]
    assert valid.keys() == {"elbo", "elbo_std", "active_units", "active_units_std"}
    assert (valid["elbo"], valid["elbo_std"]) == pytest.approx((-15.0, 50**0.5))
    assert found["beta=1"]["test"]["elbo"] == -16
    assert found["beta=3"]["num_failed"] == 1
    assert math.isnan(found["beta=3"]["valid"]["elbo_std"])
    best = settings.best_setting(found)["best"]
    assert best["setting"] == "beta=2"  # not the one that lost a trial
    assert best["by"] == "elbo on validation, mean over 2 seeds"
    assert (best["valid"], best["test"]) == (-12.5, -13.5)
    assert best["valid_std"] == pytest.approx(0.5**0.5)
    lost = settings.summarize_settings(trials, failed | {"beta=1,seed=0": "", "beta=2,seed=1": ""})
    assert settings.best_setting(lost)["best"]["setting"] == "beta=3"  # all have lost some
    # From a file, a number that was not finite is None.
    points = {
        f"seed={i}": {s: {"elbo": None, "distortion": 2.0} for s in ("valid", "test")}
        for i in (0, 1)
    }
    points["seed=0"]["test"] = {"elbo": None, "distortion": None}
    found = settings.summarize_settings(points, {})
    assert (
        settings.best_setting(found)["best"]["by"] == "distortion on validation, mean over 2 seeds"
    )
    assert math.isnan(settings.best_setting(found)["best"]["test"])
    only_seeds = settings.summarize_settings({"seed=0": trial(-1.0), "seed=1": trial(-3.0)}, {})
    assert list(only_seeds) == ["all"]


@pytest.mark.slow
def test_udr_compares_on_validation(tmp_path, monkeypatch):
    groups = {}
    monkeypatch.setattr(udr, "agreement", lambda g: groups.update(g) or {})
    monkeypatch.setattr(metrics, "agreement", udr.agreement)
    config = small(sweep__seed=(0, 1))
    config.evaluation.metrics = ("udr",)
    loop.train_and_evaluate(config, tmp_path)
    num_valid = json.loads((tmp_path / "trials" / "seed=0" / "results.json").read_text())["data"]
    assert {len(terms.code) for terms in groups["all"]} == {num_valid["num_valid"]}
    assert num_valid["num_valid"] != num_valid["num_test"]
