import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.evaluation.representation import ridge_probe
from vae_jax.evaluation.search import fit_predictor, score

pytestmark = pytest.mark.filterwarnings("error")
KEY = jax.random.key(0)


def codes(number, seed=0, dimensions=3):
    return np.random.default_rng(seed).normal(
        1.0, [0.1, 1.0, 20.0][:dimensions], (number, dimensions)
    )


def test_ridge_is_the_closed_form_on_standardized_codes():
    z, test = codes(40), codes(7, seed=1)
    y = 100 + z @ [3.0, -2.0, 0.1] + np.random.default_rng(2).normal(size=40)
    u = (z - z.mean(0)) / z.std(0)
    w = np.linalg.solve(u.T @ u + 5 * np.eye(3), u.T @ (y - y.mean()))
    predictor = fit_predictor(KEY, z, y, penalty=5.0)
    expected = y.mean() + (test - z.mean(0)) / z.std(0) @ w
    np.testing.assert_allclose(predictor.predict(jnp.asarray(test)), expected, rtol=1e-5)
    r2 = score(predictor.predict(jnp.asarray(test)), y[:7], y).r2.value
    np.testing.assert_allclose(r2, ridge_probe(z, y, test, y[:7], penalty=5.0)[0], atol=1e-3)


def test_predictions_keep_the_leading_axes_and_gradients_pass():
    predictor = fit_predictor(KEY, codes(20), codes(20)[:, 1])
    z = jnp.asarray(codes(6)).reshape(2, 3, 3)
    assert predictor.predict(z).shape == (2, 3)
    slope = jax.grad(lambda z: predictor.predict(z).sum())(z)
    np.testing.assert_allclose(slope[..., 1], 0.95, atol=0.1)  # shrunk by the penalty


def test_a_network_learns_what_no_line_can():
    z = np.random.default_rng(0).normal(size=(600, 2))
    y = 50 + 10 * z[:, 0] * z[:, 1]
    train, test = slice(None, 500), slice(500, None)
    line = fit_predictor(KEY, z[train], y[train])
    network = fit_predictor(
        KEY, z[train], y[train], hidden=(32,), num_steps=2_000, learning_rate=1e-2
    )
    r2 = [
        score(p.predict(jnp.asarray(z[test], jnp.float32)), y[test], y[train]).r2
        for p in (line, network)
    ]
    assert r2[0].value < 0.1
    assert r2[1].value > 0.95


def test_a_network_stops_before_it_fits_noise():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(60, 20)), rng.normal(size=60)
    test, y_test = rng.normal(size=(500, 20)), rng.normal(size=500)
    network = fit_predictor(
        KEY, z, y, hidden=(64,), num_steps=3_000, learning_rate=1e-2, valid_share=0.3
    )
    scores = score(network.predict(jnp.asarray(test, jnp.float32)), y_test, y)
    assert scores.r2.value > -0.1  # an interpolation of the noise has about -1


def test_constant_values_are_predicted():
    for hidden in ((), (4,)):
        predictor = fit_predictor(KEY, codes(20), np.full(20, 3.5), hidden=hidden, num_steps=50)
        assert predictor.predict(jnp.asarray(codes(4))).tolist() == [3.5] * 4


def test_scores_by_hand_and_their_errors_by_the_bootstrap():
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    predicted, train = y + rng.normal(0, 0.5, 400), rng.exponential(size=30)
    scores = score(predicted, y, train)
    r2 = 1 - np.square(y - predicted).sum() / np.square(y - y.mean()).sum()
    np.testing.assert_allclose(scores.r2.value, r2)
    np.testing.assert_allclose(scores.mae.value, np.abs(y - predicted).mean())
    np.testing.assert_allclose(scores.constant_mae.value, np.abs(y - np.median(train)).mean())
    np.testing.assert_allclose(
        scores.constant_r2.value, -np.square(y.mean() - train.mean()) / y.var()
    )
    rows = rng.integers(0, 400, (2_000, 400))
    again = [score(predicted[i], y[i], train) for i in rows]
    for name in ("r2", "mae", "constant_mae"):
        spread = np.std([getattr(s, name).value for s in again])
        np.testing.assert_allclose(getattr(scores, name).stderr, spread, rtol=0.1)


def test_r2_of_constant_values_is_unknown():
    assert np.isnan(score([1.0, 2.0], [3.0, 3.0], [3.0]).r2.value)


@pytest.mark.parametrize(
    ("z", "values", "options", "message"),
    [
        ([[1.0], [2.0]], [1.0], {}, r"len\(values\) = 1: must match z, 2"),
        ([[1.0], [np.nan]], [1.0, 2.0], {}, r"z: is nan at \[1, 0\]"),
        ([[1.0], [2.0]], [1.0, 2.0], {"penalty": -1}, r"penalty = -1: must be at least 0"),
        ([[1.0], [2.0]], [1.0, 2.0], {"valid_share": 0}, "valid_share = 0: must be greater than 0"),
    ],
)
def test_invalid_input_is_named(z, values, options, message):
    with pytest.raises(InputError, match=message):
        fit_predictor(KEY, z, values, **options)
