"""Start of the command line: the cache of compiled programs, early output, and late imports."""

import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from etils import epath

from vae_jax import visualize
from vae_jax.config import Config
from vae_jax.data import ArraySource, SpriteSource
from vae_jax.data.load import _digits_table
from vae_jax.data.sources import pad_source
from vae_jax.errors import InputError
from vae_jax.evaluation.scan import over_batches
from vae_jax.experiment import cli, run
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.launch import compilation_cache
from vae_jax.experiment.measurement import evaluator
from vae_jax.experiment.measurement.ahead import AheadOfTime, describe_shapes, make_pool

ROOT = pathlib.Path(__file__).parents[2]
SMALL = [
    "--config=configs/vae.py",
    "--config.train.num_steps=2",
    "--config.model.hidden=4",
    "--config.model.latent_dim=2",
]
# The name of the program that trains, in the name of its file.
TRAIN_EPOCH = "*train_epoch*"


PROGRAM = """
import jax
from vae_jax.experiment.launch import compilation_cache
compilation_cache.set_up(enabled={enabled})
jax.jit(lambda x: 2 * x + 1)(3.0)
"""


def python(work: pathlib.Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run Python with this home directory, and without a cache from this process's variables."""
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    fonts = {"MPLCONFIGDIR": matplotlib.get_cachedir()}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=kept | fonts | {"HOME": os.fspath(work), "XDG_CACHE_HOME": ""} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_run_keeps_its_programs_and_prints_numbers_before_figures(tmp_path):
    flags = [*SMALL, f"--workdir={tmp_path}/run"]
    result = python(tmp_path, "-m", "vae_jax.main", *flags)
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / ".cache/vae_jax").rglob(TRAIN_EPOCH))
    assert len(list((tmp_path / ".cache/vae_jax").rglob("*-cache"))) > 20  # small ones too
    first_line = result.stderr.splitlines()[0]
    assert first_line == f"vae: loading JAX and the data for {tmp_path}/run"
    lines = result.stdout.splitlines()
    assert lines[0].startswith("test ELBO")
    assert lines[-1] == f"figures: {tmp_path}/run/figures"


def test_results_are_printed_before_a_figure_is_plotted(tmp_path, monkeypatch, capsys):
    config = Config()
    config.train.num_steps, config.model.hidden, config.model.latent_dim = 2, (4,), 2
    config.data.name = "digits"
    printed = []
    monkeypatch.setattr(
        visualize, "plot_all", lambda *_, **__: printed.append(capsys.readouterr().out) or []
    )
    cli.run("train", config, os.fspath(tmp_path / "run"))
    config.sweep.seed = (0, 1)
    cli.run("train", config, os.fspath(tmp_path / "sweep"))
    assert len(printed) == 3
    assert printed[0].startswith("test ELBO")
    assert [printed[1].count("test ELBO"), printed[2]] == [2, ""]  # all trials, then all figures


def test_first_line_of_a_run(tmp_path, monkeypatch, capsys):
    cli.announce("train", Config(), os.fspath(tmp_path))
    assert capsys.readouterr().err == f"vae: loading JAX and the data for {tmp_path}\n"
    monkeypatch.setattr(cli, "as_path", epath.Path)  # no package for buckets is needed
    monkeypatch.setattr(cli, "check_usable", None)  # nor is a bucket asked
    cli.announce("train", Config(), "gs://name/run")
    assert capsys.readouterr().err == "vae: loading JAX and the data for gs://name/run\n"
    (tmp_path / "results.json").touch()
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"no config\.json"):
        cli.announce("train", Config(), os.fspath(tmp_path))
    assert not capsys.readouterr().err


def test_jax_variable_is_honoured(tmp_path):
    mine = f"{tmp_path}/mine"
    settings = {
        "JAX_COMPILATION_CACHE_DIR": mine,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    result = python(tmp_path, "-c", PROGRAM.format(enabled=True), **settings)
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "mine").glob("*lambda*"))
    assert not (tmp_path / ".cache/vae_jax").exists()


def test_flag_switches_the_cache_off(tmp_path):
    settings = {"JAX_COMPILATION_CACHE_DIR": f"{tmp_path}/mine"}
    result = python(tmp_path, "-c", PROGRAM.format(enabled=False), **settings)
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    code = PROGRAM.format(enabled=True)
    result = python(tmp_path, "-c", code, XDG_CACHE_HOME=f"{tmp_path}/file")
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("compiled programs are not kept: ")
    assert "Not a directory" in line


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/vae_jax"),
        ("darwin", {"XDG_CACHE_HOME": "/c"}, "/c/vae_jax"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/vae_jax"),
        ("linux", {}, "/home/me/.cache/vae_jax"),
        ("darwin", {}, "/home/me/Library/Caches/vae_jax"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/vae_jax"),
    ],
)
def test_folder_of_the_user(monkeypatch, platform, variables, folder):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(compilation_cache.sys, "platform", platform)
    assert compilation_cache.user_folder() == pathlib.Path(folder)


def test_oldest_programs_are_deleted_from_a_full_folder(tmp_path):
    for age in range(10):
        path = tmp_path / f"{age}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    compilation_cache._prune(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    compilation_cache._prune(tmp_path, 999)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{i}-cache" for i in range(4)]


def test_program_that_compiles_ahead_is_compiled_once():
    traced = []

    @jax.jit
    def function(x):
        traced.append(x.shape)
        return 2 * x + 1

    ahead = AheadOfTime(function)
    x = jax.device_put(np.arange(3.0, dtype=np.float32), jax.devices()[0])
    pool = make_pool()
    if pool is None:
        pytest.skip("programs compile when called on this device")
    with pool:
        for _ in range(2):
            ahead.compile_in(pool, describe_shapes(x, x.sharding))
        np.testing.assert_array_equal(ahead(x), [1, 3, 5])
    assert traced == [(3,)]
    assert function._cache_size() == 1
    np.testing.assert_array_equal(ahead(x[:2]), [1, 3])  # another shape needs no waiting
    assert len(traced) == 2


def test_a_program_compiles_ahead_under_the_settings_of_its_caller():
    traced = []

    @jax.jit
    def function(x):
        traced.append(jax.config.jax_default_matmul_precision)
        return x @ x

    ahead, x, pool = AheadOfTime(function), np.eye(3, dtype=np.float32), make_pool()
    if pool is None:
        pytest.skip("programs compile when called on this device")
    with pool, run_settings(), jax.default_matmul_precision("highest"):
        ahead.compile_in(pool, x)
        np.testing.assert_array_equal(ahead(x), x)
    assert traced == ["highest"]  # once: the call has found it


def test_an_error_of_a_compilation_comes_from_the_call():
    def broken(x):
        raise ValueError("no such function")

    ahead = AheadOfTime(jax.jit(broken))
    x = np.zeros(3, np.float32)
    pool = make_pool()
    if pool is None:
        pytest.skip("programs compile when called on this device")
    with pool:
        ahead.compile_in(pool, x)
        with pytest.raises(ValueError, match="no such function"):
            ahead(x)


def test_digits_from_the_file_are_those_of_scikit_learn():
    table = _digits_table()
    by_import = _digits_table("no_such_package")
    assert table.shape == (1797, 65)
    assert table.dtype == by_import.dtype
    np.testing.assert_array_equal(table, by_import)


def test_all_slices_of_the_sprites_share_a_program():
    def one_batch(params, batch, key):
        return params * batch["x"].sum(axis=(1, 2, 3))

    run = over_batches(one_batch, batch_size=2)
    key, slices = jax.random.key(0), (SpriteSource(3, 4), SpriteSource(7, 5))
    ahead = AheadOfTime(run)
    with ThreadPoolExecutor(1) as pool:
        for source in slices:
            ahead.compile_in(pool, jnp.ones(()), source, key)
    assert len(ahead._pending) == 1
    for source in slices:
        x = source.take(jnp.arange(source.num_examples), key)["x"]
        np.testing.assert_array_equal(
            ahead(jnp.ones(()), source, key), np.asarray(x).sum((1, 2, 3))
        )
    assert run.some_batches._cache_size() == 1


def test_splits_of_unequal_sizes_share_a_program():
    def one_batch(params, batch, key):
        noise = jax.random.normal(key, batch["x"].shape)
        return params * (batch["x"] + noise).sum(1) + batch["y"]

    run = over_batches(one_batch, batch_size=3)
    rng = np.random.default_rng(0)
    small, large = (
        ArraySource(
            jnp.asarray(rng.random((n, 2), np.float32)),
            jnp.arange(n),
            observed=jnp.asarray(rng.random((n, 2)) < 0.5),
        )
        for n in (4, 6)
    )
    arguments = jnp.ones(()), jax.random.key(0)
    expected = [run(arguments[0], source, arguments[1]) for source in (small, large)]
    assert run.some_batches._cache_size() == 2
    padded = pad_source(small, large.num_examples)
    assert padded.num_examples == small.num_examples
    np.testing.assert_array_equal(run(arguments[0], padded, arguments[1]), expected[0])
    assert run.some_batches._cache_size() == 2  # the program of the larger one
    assert pad_source(large, 6) is large
    assert pad_source(small, 2**22) is small  # too much memory
    sprites = SpriteSource(0, 4)
    assert pad_source(sprites, 6) is sprites


def test_validation_and_test_of_a_run_share_a_program(tmp_path):
    config = Config()
    config.data.name, config.data.valid_fraction = "digits", 0.1
    made = run.make_run(config, tmp_path / "run")
    assert made.dataset.valid.num_examples != made.dataset.test.num_examples
    key, x = jax.random.key(0), jnp.ones((1, *made.dataset.shape))
    params = made.model.init(key, x, key)
    evaluate = evaluator.make_run_evaluator(made)
    for split in ("valid", "test"):
        terms = evaluate(params, split)
        assert len(terms.rate) == getattr(made.dataset, split).num_examples
    assert evaluator._evaluator(made, 1).function.run.some_batches._cache_size() == 1
