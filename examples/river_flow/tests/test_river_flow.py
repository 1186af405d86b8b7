"""The density, the samples, the training, and the answers to tables that cannot be used."""

import jax
import numpy as np
import pytest
from river_flow import table
from river_flow.gamma import Gamma, GammaLikelihood
from river_flow.main import main, make_model, run
from scipy import integrate, stats

import vae_jax

KEY = jax.random.key(0)
UNITS = np.array([1e6, 1.0, 1e-6, 1e3])


def gamma(mean, shape):
    return Gamma(np.log(np.float32(mean)), np.log(np.float32(shape)))


@pytest.mark.parametrize("shape", [0.15, 1.0, 3.0, 1000.0])
def test_the_density_is_that_of_scipy(shape):
    mean, x = np.array([1e-6, 1.0, 1e6]), np.array([[0.5], [1.0], [1.02], [4.0]])
    p = gamma(mean, [shape] * 3)
    expected = stats.gamma.logpdf(x * mean, shape, scale=mean / shape)
    np.testing.assert_allclose(
        p.log_prob_terms(np.float32(x * mean)), expected, rtol=1e-4, atol=2e-3
    )
    np.testing.assert_allclose(
        p.log_prob(np.float32(x * mean)), expected.sum(-1), rtol=1e-4, atol=5e-3
    )


def test_values_outside_have_no_density_and_no_gradient_that_is_nan():
    def log_prob(log_mean, x):
        return Gamma(log_mean, np.zeros(1, np.float32)).log_prob(x)

    for x in (0.0, -1.0, np.inf, np.nan):
        value, slope = jax.value_and_grad(log_prob)(np.zeros(1, np.float32), np.float32([x]))
        assert np.isneginf(value)
        assert np.isfinite(slope).all()


def test_samples_have_the_mean_and_the_deviation():
    p = gamma([2.0, 5e5], [0.5, 8.0])
    draws = np.asarray(p.sample(KEY, (40_000,)), np.float64)
    np.testing.assert_allclose(draws.mean(0), p.mean, rtol=0.03)
    np.testing.assert_allclose(draws.std(0), p.mean / np.sqrt([0.5, 8.0]), rtol=0.03)


def test_the_density_of_a_model_in_any_unit_integrates_to_one():
    """Over x, on a grid of log x; and rescaled data have the log-density less the log of scales."""
    flows = table.simulate(50, seed=2)
    x = flows[:5]
    values = []
    for unit in (np.ones(4), UNITS):
        model = make_model(GammaLikelihood((4,)), flows * unit)
        params = jax.jit(model.init)(KEY, np.float32(flows * unit), KEY)
        p = model.apply(params, np.zeros((1, 2), np.float32), method="decode")
        values.append(p.log_prob(np.float32(x * unit)) + np.log(unit).sum())
        log_x = np.linspace(-16, 6, 2_000)[:, None] + np.log(table.MEANS * unit)
        mass = np.exp(p.log_prob_terms(np.float32(np.exp(log_x))) + log_x)
        np.testing.assert_allclose(integrate.simpson(mass, x=log_x, axis=0), 1, atol=2e-4)
    np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def test_the_model_knows_that_rivers_share_the_rain(folder):
    """In units from 1e-6 to 1e6, with holes: above gammas that are fitted to each river alone."""
    flows = table.simulate(500, seed=0) * UNITS
    flows[np.random.default_rng(1).random(flows.shape) < 0.05] = np.nan
    elbo, baseline = run(flows, str(folder / "rivers"), num_steps=500)
    assert elbo > baseline + 1.0
    model = vae_jax.load(folder / "rivers")
    draws = model.sample(KEY, 200, draws=True)
    assert (np.asarray(draws) > 0).all()
    np.testing.assert_allclose(np.median(draws, 0), np.nanmedian(flows, 0), rtol=0.5)
    assert model.elbo(KEY, flows[:1]).shape == (1,)
    with pytest.raises(vae_jax.errors.InputError, match="needs values above 0"):
        model.elbo(KEY, np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "3,0",
            "x has values of 0 in column 1: the likelihood GammaLikelihood needs values above 0",
        ),
        ("3,-4", "x has values from -4 to 19.5: the likelihood GammaLikelihood allows 0 to inf"),
        ("3,two", "could not convert string 'two'"),
        ("3", "the number of columns changed from 2 to 1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(row, message, tmp_path, capsys):
    rows = [f"{i},{i}.5" for i in range(1, 20)]
    assert message in answer([*rows, row], tmp_path, capsys)


@pytest.mark.filterwarnings("ignore:loadtxt")
def test_tables_without_enough_values(tmp_path, capsys):
    for cell in ("", "0.1"):
        rows = [f"{i},{cell}" for i in range(1, 25)]
        message = "table: column 1 has no two different values; remove it"
        assert message in answer(rows, tmp_path, capsys)
    for rows in (["1,2"], []):
        message = f"table: number of rows is {len(rows)}, must be at least 20"
        assert message in answer(rows, tmp_path, capsys)


def answer(rows, folder, capsys):
    """The message of the command line for the rows of a table, which it cannot use."""
    (folder / "rivers.csv").write_text("\n".join(["Alder,Birch", *rows]))
    status = main([f"--folder={folder / 'model'}", f"--table={folder / 'rivers.csv'}"])
    assert status == 2
    assert not (folder / "model").exists()
    return capsys.readouterr().err


def test_a_folder_and_a_file_that_cannot_be_used(folder, capsys):
    assert main([f"--folder={folder}"]) == 2
    assert "exists; name a new one" in capsys.readouterr().err
    assert main([f"--folder={folder / 'new'}", "--table=missing.csv"]) == 2
    assert "table = 'missing.csv': missing.csv not found" in capsys.readouterr().err
