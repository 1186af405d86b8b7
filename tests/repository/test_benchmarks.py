import dataclasses
import functools
import io
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from benchmarks import children, contestant, flops, layers, main, process, report, rounds
from benchmarks.contestants import CONTESTANTS, bare
from benchmarks.tasks import CONV, TASKS
from vae_jax.experiment import builders

NETWORK_TASKS = [TASKS["mlp128"], CONV]


def num_parameters_of_ours(task):
    config = task.make_config()
    shape = task.examples(1).shape[1:]
    model = builders.build_model(config, shape)
    key = jax.random.key(0)
    shapes = jax.eval_shape(model.init, key, jnp.zeros((1, *shape)), key)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_operations_by_hand():
    # 2 outputs of 4 taps at stride 2 over 4 pixels, one of each on the padding: 6 pairs per side.
    assert flops.conv(4, 3, 5) == 6 * 6 * 3 * 5
    assert flops.conv(5, 1, 1, kernel=1, stride=1) == 25
    assert flops.forward((7, 11)) == 2 * 18
    assert flops.training((7, 11)) == 2 * (2 * 7 + 3 * 11)
    mlp = 784 * 400 + 400 * 40 + 20 * 400 + 400 * 784
    assert TASKS["mlp128"].training_flops == 6 * mlp - 2 * 784 * 400


@pytest.mark.parametrize("task", NETWORK_TASKS, ids=lambda task: task.name)
def test_operations_agree_with_xla(task):
    network, batch = bare.NETWORKS[task.network], 64
    params = jax.eval_shape(functools.partial(bare.init, network))
    x = jax.ShapeDtypeStruct((batch, *task.examples(1).shape[1:]), jnp.float32)
    noise = jax.ShapeDtypeStruct((batch, network.shapes["posterior"][-1] // 2), jnp.float32)
    loss = functools.partial(bare.loss, network, task.beta)
    for function, count in ((loss, flops.forward), (jax.grad(loss), flops.training)):
        theirs = jax.jit(function).lower(params, x, noise).cost_analysis()["flops"] / batch
        assert count(task.layers) == pytest.approx(theirs, rel=0.06)
        assert count(task.layers) < theirs  # which counts activations and losses too


@pytest.mark.parametrize("task", NETWORK_TASKS, ids=lambda task: task.name)
def test_all_have_the_same_parameters(task):
    ours = num_parameters_of_ours(task)
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(bare.init(bare.NETWORKS[task.network]))) == ours
    )
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import NETWORKS, VAE

    with torch.device("meta"):
        theirs = VAE(task.network, task.beta)
    assert task.network in NETWORKS
    assert sum(p.numel() for p in theirs.parameters()) == ours


def test_the_vq_vae_is_the_same_for_all():
    task = TASKS["vqvae"]
    config = task.make_config()
    assert (config.objective.commitment, config.optimizer.learning_rate) == (
        task.beta,
        task.learning_rate,
    )
    encoder = builders.build_model(config, (32, 32, 3)).encoder
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(encoder.init, jax.random.key(0), x)
    theirs = jax.jit(encoder.apply).lower(params, x).cost_analysis()["flops"]
    num = len(layers.VQ) // 2  # of the encoder's layers, all but the last one in the network
    assert flops.forward(layers.VQ[: num - 1]) == pytest.approx(theirs, rel=0.06)
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import make

    with torch.device("meta"):
        model = make(task.network, task.beta)
    assert sum(p.numel() for p in model.parameters()) == num_parameters_of_ours(task)
    assert (config.model.init_sigma, config.codes.decay) == (model.sigma, model.decay)


def test_pytorch_averages_the_codebook_as_we_do():
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import VQVAE
    from vae_jax.objectives import vq_post_update

    model, rng = VQVAE(0.25, num_codes=5, code_dim=2), np.random.default_rng(0)
    names = {"counts": "counts", "sums": "sums", "embedding": "codebook"}
    book = {ours: getattr(model, theirs).numpy().copy() for ours, theirs in names.items()}
    vectors, codes = rng.normal(size=(30, 2)).astype(np.float32), rng.integers(0, 4, 30)
    model.average(torch.from_numpy(vectors), torch.from_numpy(codes))
    chosen = np.eye(5, dtype=np.float32)[codes]
    statistics, params = (
        {"counts": chosen.mean(0), "sums": chosen.T @ vectors / 30},
        {"codebook": {"quantizer": book}},
    )
    ours = vq_post_update(revive_below=None)(params, params, statistics, jax.random.key(0), 0)[
        "codebook"
    ]["quantizer"]
    np.testing.assert_allclose(ours["embedding"], model.codebook.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours["counts"], model.counts.numpy(), rtol=1e-5)


def test_bare_learns():
    task = dataclasses.replace(TASKS["mlp128"], num_examples=256, batch_size=32)
    work = bare.Bare(task, jnp.asarray(task.examples(task.num_examples)), 10)
    assert next(bare.batches(256, 10, 32)).shape == (10, 32)
    work.call()
    losses = np.asarray(work._losses)
    assert losses[-1] < 0.95 * losses[0]
    assert work.units_per_call == 10 * 32


def test_the_order_alternates_and_the_median_is_taken():
    calls, seconds = [], {"a": iter((1.0, 4.0, 2.0)), "b": iter((1.0, 1.0, 1.0))}

    def run(name):
        calls.append(name)
        return {"units": 8.0, "seconds": next(seconds[name]), "memory_mb": float(len(calls))}

    measured = rounds.measure({name: functools.partial(run, name) for name in "ab"}, 3)
    assert "".join(calls) == "abbaab"
    assert rounds.summary(measured["a"]) == {
        "rate": 4.0,
        "rates": [8.0, 2.0, 4.0],
        "memory_mb": 5.0,
    }
    assert rounds.summary(measured["b"])["rate"] == 8.0


class Sleeper:
    units_per_call, info = 10.0, {"device": "none", "steps_per_call": 5}

    def __init__(self):
        self.calls = 0

    def call(self):
        self.calls += 1

    def wait(self):
        pass

    def device_peak(self):
        return 3_000_000


def test_a_contestant_answers_each_command():
    replies = io.StringIO()
    contestant.serve(Sleeper, io.StringIO("0.001\n0\n"), replies)
    start, *answers = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert start.keys() >= {"setup_s", "compile_s", "first_step_s", "device"}
    assert start["first_step_s"] >= start["setup_s"] + start["compile_s"]
    assert len(answers) == 2
    assert answers[1]["units"] == 10  # at least one call
    assert answers[0]["device_memory_mb"] == 3
    assert answers[0]["memory_mb"] > 50


def test_a_child_that_cannot_start_says_why():
    with pytest.raises(children.ChildFailed, match="KeyError: 'nobody'"):
        children.Child("train", "nobody", "mlp128", "float32")


def numbers(rate, **more):
    costs = {"compile_s": 1.25, "first_step_s": 2.0, "memory_mb": 1234.4, "device_memory_mb": 0.0}
    return {"rate": rate, **costs, **more}


def test_the_table():
    results = {
        "vae_jax": numbers(3000.0),
        "torch_eager": numbers(1000.0),
        "torch_compile": numbers(1500.0),
    }
    compared = report.with_ratios(results, flops=1_000, peak=30e6)
    assert compared["vae_jax"]["to_pytorch"] == 2
    assert compared["vae_jax"]["share_of_peak"] == pytest.approx(0.1)
    lines = report.table(report.HEADER, report.train_rows({"mlp128": compared})).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[1].startswith("| --- | --- | ---: |")
    assert (
        lines[2]
        == "| VAE 784-400-20, batch 128 | vae_jax | 3,000 | 2.00 | 10.0% | 1.2 | 2.0 | 1,234 |"
    )


def test_the_table_without_pytorch_or_peak():
    compared = report.with_ratios(
        {"vae_jax": numbers(3000.0, device_memory_mb=7.0)}, flops=1, peak=None
    )
    (row,) = report.train_rows({"conv": compared})
    assert row[3:5] == ["-", "-"]
    assert row[-1] == "7"


def test_everything_is_written_as_json(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        main,
        "compete",
        lambda kind, who, *_: {name: numbers(1e3, idle=0.1, rates=[1e3]) for name in who},
    )
    with flagsaver.flagsaver():
        flags.FLAGS(["main", "--tasks=conv", f"--out={tmp_path}/b.json"])
        main.main(["main"])
    written, (out, err) = json.loads((tmp_path / "b.json").read_text()), capsys.readouterr()
    assert written["train"]["conv"]["vae_jax"]["to_pytorch"] == 1
    assert written["train"]["conv"]["vae_jax"]["share_of_peak"] == CONV.training_flops
    assert written["machine"]["versions"]["jax"] == jax.__version__
    assert "| beta-VAE 64x64 convolutions, batch 64 | vae_jax | 1,000 | 1.00 |" in out
    assert "vae_jax used 10% of a core while others were timed" in err


def test_images_are_what_they_are_said_to_be():
    digits, sprites = TASKS["mlp128"].examples(500), CONV.examples(500)
    assert (digits.dtype, digits.shape[1:], sprites.shape[1:]) == (
        np.uint8,
        (28, 28, 1),
        (64, 64, 1),
    )
    assert 0.1 < digits.mean() / 255 < 0.16
    assert set(np.unique(sprites)) == {0, 255}


def test_jobs_name_commands(tmp_path):
    sweep = process.JOBS["sweep"].commands(tmp_path, tmp_path, 10)
    assert len(sweep["one program"]) == 1
    assert len(sweep["one after the other"]) == process.NUM_SEEDS
    (ours,) = process.JOBS["beta_vae"].commands(tmp_path, tmp_path, 10)["vae_jax"]
    assert ours[:3] == [sys.executable, "-m", "vae_jax.main"]
    assert f"--config.train.eval_every={process.BETA_VAE['eval_every']}" in ours


def test_pytorch_does_the_job_of_our_config():
    config = CONV.make_config()
    c, d = config.train, process.BETA_VAE
    assert (c.batch_size, c.log_every) == (d["batch_size"], d["log_every"])
    assert (config.optimizer.learning_rate, config.objective.beta) == (
        d["learning_rate"],
        d["beta"],
    )
    assert (CONV.learning_rate, CONV.beta) == (d["learning_rate"], d["beta"])


def test_commands_are_timed_and_failures_told(tmp_path):
    sleep = [sys.executable, "-c", "import time; time.sleep(0.1)"]
    result = process.run_timed([sleep, sleep], tmp_path)
    assert 0.2 < result["seconds"] < 20
    assert result["memory_mb"] > 1
    with pytest.raises(children.ChildFailed, match="ValueError: of no use"):
        process.run_timed([[sys.executable, "-c", "raise ValueError('of no use')"]], tmp_path)


def test_missing_packages_are_told():
    absent = dataclasses.replace(CONTESTANTS["pythae"], needs=("no_such_package",))
    assert absent.missing() == ["no_such_package"]
    assert CONTESTANTS["vae_jax"].missing() == []
