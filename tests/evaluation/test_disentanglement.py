import json
import pathlib
import time

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from vae_jax.errors import InputError
from vae_jax.evaluation import disentanglement as dis
from vae_jax.evaluation.disentanglement.agreement import relative_strength
from vae_jax.evaluation.disentanglement.information import entropies, gap, modularity_of
from vae_jax.evaluation.disentanglement.inputs import ByValue
from vae_jax.evaluation.disentanglement.predictors import concentration

pytestmark = pytest.mark.filterwarnings("error")
GOLDEN = pathlib.Path(__file__).parent / "golden" / "disentanglement.json"
SPRITES = (3, 6, 40, 32, 32)
METRICS = (
    dis.beta_vae_score,
    dis.factor_vae_score,
    dis.mig_locatello,
    dis.dci,
    dis.sap,
    dis.modularity,
    dis.explicitness,
    dis.irs,
)
FEW = {"num_train": 800, "num_eval": 400}


def grid(sizes, copies=1):
    cells = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(
        -1, len(sizes)
    )
    return np.tile(cells, (copies, 1))


@pytest.fixture(scope="module")
def factors():
    return grid((4, 5, 6), copies=10)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN.with_suffix(".npz")) as arrays:
        return json.loads(GOLDEN.read_text()), dict(arrays)


def scores(codes, factors):
    return {
        "beta_vae": dis.beta_vae_score(codes, factors, **FEW),
        "factor_vae": dis.factor_vae_score(codes, factors, **FEW),
        "mig": dis.mig_locatello(codes, factors),
        **dis.dci(codes, factors, **FEW),
        "sap": dis.sap(codes, factors, **FEW),
        "modularity": dis.modularity(codes, factors),
        "explicitness": dis.explicitness(codes, factors, **FEW),
        "irs": dis.irs(codes, factors),
    }


@pytest.fixture(scope="module")
def perfect(factors):
    return scores(factors, factors)


def test_codes_that_are_the_factors_are_perfect(perfect):
    exact = dict.fromkeys(
        ("factor_vae", "disentanglement", "completeness", "informativeness", "irs"), 1.0
    )
    exact |= {"mig": 1.0, "modularity": 1.0}
    assert {name: perfect[name] for name in exact} == pytest.approx(exact, abs=1e-12)
    assert perfect["beta_vae"] > 0.995
    # A line cannot part a value in the middle from both sides.
    assert 0.9 < perfect["explicitness"] < 1
    assert perfect["sap"] > 0.2


@pytest.mark.parametrize(
    ("order", "signs"),
    [((2, 0, 1), (1, 1, 1)), ((0, 1, 2), (-1, 1, -1)), ((1, 2, 0), (-1, -1, -1))],
)
def test_order_and_sign_of_the_codes_do_not_matter(factors, perfect, order, signs):
    assert scores(factors[:, order] * np.array(signs), factors) == pytest.approx(perfect, abs=5e-3)


def test_a_factor_in_two_codes_is_incomplete_and_still_disentangled(factors, perfect):
    doubled = scores(np.concatenate([factors, 2 - 3 * factors], axis=1), factors)
    assert doubled["mig"] == pytest.approx(0, abs=1e-12)
    assert (
        doubled["sap"] < 0.05 < 0.2 < perfect["sap"]
    )  # not 0: the machine's penalty is of a scale
    assert doubled["disentanglement"] == pytest.approx(1)
    assert doubled["completeness"] == pytest.approx(1 - np.log(2) / np.log(6), abs=0.05)
    assert doubled["modularity"] == pytest.approx(1)
    assert dis.sap(np.concatenate([factors, factors], axis=1), factors, **FEW) == 0
    # With one factor doubled, its gap alone falls.
    assert dis.mig_locatello(
        np.concatenate([factors, factors[:, :1]], axis=1), factors
    ) == pytest.approx(2 / 3)


def test_constant_codes_score_as_chance_does(factors):
    constant = scores(np.full((len(factors), 3), 1.7), factors)
    zero = dict.fromkeys(
        ("factor_vae", "mig", "disentanglement", "completeness", "sap", "modularity", "irs"), 0.0
    )
    assert {name: constant[name] for name in zero} == zero
    assert constant["explicitness"] == 0.5
    assert constant["beta_vae"] == pytest.approx(1 / 3, abs=0.07)
    assert constant["informativeness"] == pytest.approx(np.mean([1 / 4, 1 / 5, 1 / 6]), abs=0.05)


def test_noise_scores_as_chance_does(factors):
    noise = scores(np.random.default_rng(0).standard_normal((len(factors), 4)), factors)
    assert noise["beta_vae"] == pytest.approx(1 / 3, abs=0.08)
    assert noise["factor_vae"] == pytest.approx(1 / 3, abs=0.08)
    assert noise["explicitness"] == pytest.approx(0.5, abs=0.05)
    assert noise["informativeness"] == pytest.approx(np.mean([1 / 4, 1 / 5, 1 / 6]), abs=0.06)
    assert noise["mig"] < 0.03
    assert noise["sap"] < 0.05
    assert max(noise["disentanglement"], noise["completeness"]) < 0.1


def test_codes_turned_by_45_degrees_are_not_disentangled():
    factors = grid((10, 10), copies=15)
    turned = factors @ np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    straight, turned = (
        dis.dci(codes, factors, num_train=1000, num_eval=500) for codes in (factors, turned)
    )
    assert straight["disentanglement"] == pytest.approx(1)
    assert turned["disentanglement"] < 0.05
    assert turned["completeness"] < 0.05
    assert dis.mig_locatello(factors @ np.array([[1, 1], [1, -1]]), factors) < 0.05


def test_one_code_with_every_factor_has_a_full_gap_and_is_not_modular():
    factors = grid((2, 3, 4), copies=5)
    code = factors @ np.array([[12], [4], [1]])
    sizes = np.log([2, 3, 4])
    expected = 1 - (sizes[0] ** 2 + sizes[1] ** 2) / (2 * sizes[2] ** 2)
    assert dis.mig_locatello(code, factors, num_bins=24) == pytest.approx(1)
    assert dis.modularity(code, factors, num_bins=24) == pytest.approx(expected)
    # Codes without information leave the gap and, as in disentanglement_lib, lower modularity.
    padded = np.pad(code, ((0, 0), (0, 2)))
    assert dis.mig_locatello(padded, factors, num_bins=24) == pytest.approx(1)
    assert dis.modularity(padded, factors, num_bins=24) == pytest.approx(expected / 3)
    # The sizes of dSprites: 1 - (ln 3^2 + ln 6^2 + 2 ln 32^2) / (4 ln 40^2).
    assert modularity_of(np.log([SPRITES])) == pytest.approx(0.4775, abs=5e-5)
    assert gap(np.log([SPRITES]), np.log(SPRITES)) == 1


def test_mig_of_a_small_table():
    factors = np.array([[0], [0], [1], [1]])
    codes = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    joint = -(0.25 * np.log(0.25) + 0.25 * np.log(0.25) + 0.5 * np.log(0.5))
    second = np.log(2) - (0.25 * np.log(0.25) + 0.75 * np.log(0.75)) - joint
    np.testing.assert_allclose(dis.mutual_information(codes, factors), [[np.log(2)], [second]])
    assert dis.mig_locatello(codes, factors) == pytest.approx(1 - second / np.log(2))


def test_mutual_information_and_its_bins_are_those_of_scikit_learn_and_numpy():
    rng = np.random.default_rng(3)
    factors = rng.integers(0, (3, 40), size=(500, 2))
    codes = np.stack([factors[:, 0] + rng.standard_normal(500), rng.integers(0, 33, 500)], axis=1)
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    expected = [[mutual_info_score(factor, code) for factor in factors.T] for code in binned]
    np.testing.assert_allclose(dis.mutual_information(codes, factors), expected, rtol=1e-10)
    np.testing.assert_allclose(
        entropies(factors), [mutual_info_score(factor, factor) for factor in factors.T]
    )


@pytest.mark.parametrize(
    ("codes", "sizes"),
    [
        ([7.0, 7, 7], [3]),
        ([1.0, 1, 1 + 2e-16], [2, 1]),
        ([-1e308, 0, 1e308], [1, 1, 1]),
        ([0, 1e-300, 1e-300], [1, 2]),
    ],
)
def test_any_range_can_be_binned(codes, sizes):
    information = dis.mutual_information(np.array(codes)[:, None], np.array([[0], [1], [2]]))
    share = np.array(sizes) / 3
    assert information == pytest.approx(-np.sum(share * np.log(share)), abs=1e-12)


def test_golden_information(golden):
    numbers, arrays = golden
    codes, factors = arrays["codes"], arrays["factors"]
    np.testing.assert_allclose(
        dis.mutual_information(codes, factors), numbers["mutual_information"], rtol=1e-9
    )
    assert dis.mig_locatello(codes, factors) == pytest.approx(numbers["mig_locatello"], rel=1e-9)
    assert dis.modularity(codes, factors) == pytest.approx(numbers["modularity"], rel=1e-9)
    assert dis.irs(codes, factors) == pytest.approx(numbers["irs"], rel=1e-9)
    assert dis.irs(codes, factors, quantile=1) == pytest.approx(numbers["irs_quantile_1"], rel=1e-9)


def test_golden_mig_of_chen(golden):
    numbers, arrays = golden
    given = arrays["codes"], arrays["logvar"], arrays["factors"]
    several = [dis.mig_chen(*given, seed=seed) for seed in range(12)]
    error = np.std(several, ddof=1) / np.sqrt(12)
    assert error < 0.005
    assert np.mean(several) == pytest.approx(numbers["mig_chen"], abs=4 * error)
    without = np.mean([dis.mig_chen(*given, which=(1, 2), seed=seed) for seed in range(12)])
    assert without == pytest.approx(numbers["mig_chen_without_the_first"], abs=4 * error)


def test_golden_scores_of_fixed_factors(golden):
    numbers, arrays = golden
    codes, factors = arrays["codes"], arrays["factors"]
    counts = {"num_train": 20_000, "num_eval": 20_000}
    factor_vae = dis.factor_vae_score(codes, factors, batch_size=4, **counts)
    assert factor_vae == pytest.approx(numbers["factor_vae_of_batches_of_4"], abs=0.01)
    beta_vae = dis.beta_vae_score(codes, factors, num_pairs=4, **counts)
    assert beta_vae == pytest.approx(numbers["beta_vae_of_4_pairs"], abs=0.012)


def test_golden_predictors(golden):
    numbers, arrays = golden
    codes, factors = arrays["codes"], arrays["factors"]
    assert dis.sap(codes, factors, **FEW) == pytest.approx(numbers["sap"], abs=1e-12)
    assert dis.explicitness(codes, factors, **FEW) == pytest.approx(
        numbers["explicitness"], abs=1e-3
    )
    importance = np.array(numbers["importance"])
    assert concentration(importance) == pytest.approx(numbers["disentanglement"], rel=1e-9)
    assert concentration(importance.T) == pytest.approx(numbers["completeness"], rel=1e-9)


@pytest.mark.parametrize("method", ["lasso", "spearman"])
def test_golden_udr(golden, method):
    numbers, arrays = golden
    np.testing.assert_allclose(
        dis.udr(arrays["models"], arrays["kls"], method=method), numbers[f"udr_{method}"], rtol=1e-3
    )


def test_dci_with_a_given_classifier(factors):
    class Given:
        """Factor k has the importances of row k, and is always taken for its value 0."""

        rows = iter([[3.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 5.0]])

        def fit(self, x, y):
            self.feature_importances_ = np.array(next(self.rows))
            return self

        def score(self, x, y):
            return np.mean(y == 0)

    given = dis.dci(factors, factors, classifier=lambda seed: Given())
    third, half = np.log(3), 1 / 3 * np.log(3) + 2 / 3 * np.log(1.5)
    assert given["disentanglement"] == pytest.approx((3 + 3 * (1 - half / third) + 5) / 11)
    quarter = 0.75 * np.log(4 / 3) + 0.25 * np.log(4)
    assert given["completeness"] == pytest.approx((4 * (1 - quarter / third) + 2 + 5) / 11)
    assert given["informativeness"] == pytest.approx(np.mean([1 / 4, 1 / 5, 1 / 6]), abs=0.04)


def test_dci_with_boosted_trees(factors):
    boosted = dis.dci(
        factors[:, :2], factors[:, :2], classifier=dis.boosted_trees, num_train=100, num_eval=100
    )
    assert boosted == pytest.approx({"disentanglement": 1, "completeness": 1, "informativeness": 1})


def test_factor_vae_leaves_out_codes_by_their_standard_deviation(factors):
    z = (factors - factors.mean(axis=0)) / factors.std(axis=0, ddof=1)
    assert dis.factor_vae_score(0.051 * z, factors, **FEW) == 1
    assert dis.factor_vae_score(0.049 * z, factors, **FEW) == 0
    # Without the code of factor 0, nobody votes for it.
    one_left_out = dis.factor_vae_score(z * [0.049, 1, 1], factors, **FEW)
    assert one_left_out == pytest.approx(2 / 3, abs=0.08)


def test_the_factor_vae_score_does_not_depend_on_the_scale_of_a_code(factors):
    """Noise adds variance to each code; divided by that of the code, its own factor's is least."""
    noise = np.random.default_rng(0).normal(size=factors.shape)
    z = (factors - factors.mean(axis=0)) / factors.std(axis=0, ddof=1) + 0.3 * noise
    alike, apart = (dis.factor_vae_score(z * np.array(s), factors, **FEW) for s in (1, [1, 9, 90]))
    assert alike == apart == 1


def test_examples_are_drawn_alike(factors):
    rng = np.random.default_rng(0)
    example, factor = rng.integers(len(factors), size=2000), rng.integers(3, size=2000)
    other = ByValue.from_factors(factors).sample_alike(example, factor, rng)
    np.testing.assert_array_equal(factors[example, factor], factors[other, factor])
    assert (
        len(
            np.unique(
                ByValue.from_factors(factors).sample_alike(
                    np.zeros(20_000, int), np.zeros(20_000, int), rng
                )
            )
        )
        == len(factors) / 4
    )


def test_irs_of_a_small_table():
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert dis.irs(codes, factors, quantile=1) == pytest.approx(1 - 0.5 / 5.5)
    # Codes weigh by their greatest deviation, and a constant one not at all.
    both = np.concatenate([codes, codes % 2, np.ones((4, 1))], axis=1)
    assert dis.irs(both, factors, quantile=1) == pytest.approx((5.5 * (1 - 0.5 / 5.5) + 0.5) / 6)


def test_mig_of_chen_at_its_two_ends(factors):
    sharp, flat = np.full(factors.shape, -9.0), np.zeros(factors.shape)
    assert dis.mig_chen(factors, sharp, factors) == pytest.approx(1, abs=0.02)
    assert dis.mig_chen(0 * factors, flat, factors) == pytest.approx(0, abs=1e-6)
    # Noise of the posterior, which `mig_locatello` doesn't see, costs information.
    assert dis.mig_locatello(factors, factors) == 1
    assert dis.mig_chen(factors, flat, factors) < 0.6
    assert dis.mig_chen(factors[:, :1], sharp[:, :1], factors, which=[0]) == pytest.approx(
        1, abs=0.02
    )
    assert dis.mig_chen(factors[:, :1], sharp[:, :1], factors, which=[1]) == pytest.approx(
        0, abs=0.01
    )


def test_udr_of_models_that_agree_and_of_such_that_do_not():
    rng = np.random.default_rng(0)
    z = np.linalg.qr(np.pad(rng.standard_normal((400, 3)), ((0, 0), (1, 0)), constant_values=1))[0][
        :, 1:
    ]
    agreeing, kl = [z, -z[:, [1, 2, 0]], 5 * z[:, [2, 1, 0]] + 1], np.ones(3)
    # Codes are uncorrelated: the only coefficient is 1 less the penalty.
    np.testing.assert_allclose(dis.udr(agreeing, [kl] * 3), 0.9)
    assert dis.udr(agreeing, [kl] * 3, method="spearman").min() > 0.8
    strangers = [rng.standard_normal((400, 3)) for _ in range(3)]
    assert dis.udr(strangers, [kl] * 3).max() < 0.01
    assert dis.udr(strangers, [kl] * 3, method="spearman").max() < 0.2
    # A code that is off is neither needed nor in the way; a model that is off agrees with nobody.
    off = [np.concatenate([z, rng.standard_normal((400, 1))], axis=1) for z in agreeing]
    np.testing.assert_allclose(dis.udr(off, [np.append(kl, 0.01)] * 3), 0.9, rtol=1e-6)
    np.testing.assert_array_equal(dis.udr([z, z, 0 * z], [kl, kl, 0 * kl])[2], 0)
    assert relative_strength(np.array([[0.5, 0.5], [0.0, 0.0]])) == pytest.approx((0.5 + 0.125) / 2)


def test_one_code_and_one_factor_have_defined_scores(factors):
    lone = scores(factors[:, :1], factors[:, :1])
    exact = dict.fromkeys(lone, 1.0)
    del exact["sap"], exact["explicitness"]
    assert {name: lone[name] for name in exact} == pytest.approx(exact)
    assert 0 < lone["sap"] < 1
    assert scores(factors[:, :1], factors)["completeness"] == 1


@pytest.mark.slow
def test_all_metrics_are_those_of_the_functions_and_repeat(factors):
    codes = factors[:, [0, 1, 1]] + 0.3 * np.random.default_rng(0).standard_normal(factors.shape)
    logvar = 0 * codes - 2
    together = dis.all_metrics(codes, factors, logvar=logvar, which=(1, 2), seed=5)
    assert all(isinstance(value, float) for value in together.values())
    alone = {
        metric.__name__.removesuffix("_score"): metric(codes, factors, seed=5)
        for metric in METRICS
        if metric != dis.dci
    }
    alone |= {
        f"dci_{name}": value
        for name, value in dis.dci(codes, factors, seed=np.random.default_rng(5)).items()
    }
    assert together == alone | {
        "mig_chen": dis.mig_chen(codes, logvar, factors, which=(1, 2), seed=5)
    }


@pytest.mark.parametrize("metric", [dis.dci, dis.sap, dis.explicitness])
def test_draws_follow_the_seed(factors, metric):
    codes = factors + np.random.default_rng(0).standard_normal(factors.shape)
    assert metric(codes, factors, seed=1, **FEW) != metric(codes, factors, seed=2, **FEW)


@pytest.mark.slow
def test_all_metrics_take_less_than_a_minute_of_one_core():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, SPRITES, size=(20_000, 5))
    codes = np.concatenate(
        [factors / SPRITES, np.zeros(factors.shape)], axis=1
    ) + 0.1 * rng.standard_normal((20_000, 10))
    begin = time.process_time()
    assert "mig_chen" not in dis.all_metrics(codes, factors)
    assert time.process_time() - begin < 60


@pytest.mark.parametrize("metric", METRICS)
def test_bad_input_is_named(factors, metric):
    codes = factors.astype(float)
    with pytest.raises(InputError, match=r"must be \[N, F\]"):
        metric(codes, factors[:-1])
    with pytest.raises(InputError, match=r"must be numbers \[N, D\]"):
        metric(codes[:, 0], factors)
    with pytest.raises(InputError, match="1 of 3600 numbers are not finite"):
        metric(np.where(np.arange(codes.size).reshape(codes.shape) == 7, np.nan, codes), factors)
    with pytest.raises(InputError, match="factor 1 is constant"):
        metric(codes, factors * [1, 0, 1])
    with pytest.raises(InputError, match="must be integers"):
        metric(codes, codes)
    with pytest.raises(InputError, match="of complex128"):
        metric(1j * codes, factors)
    with pytest.raises(InputError, match="1 examples"):
        metric(codes[:1], factors[:1])


def test_too_few_examples_are_an_error(factors):
    with pytest.raises(InputError, match="must be at least 2; use more"):
        dis.factor_vae_score(factors[:1191], np.concatenate([factors[:1190], [[9, 0, 0]]]))
    with pytest.raises(InputError, match="too few"):
        dis.sap(factors[:7], factors[:7] + np.arange(7)[:, None])
    with pytest.raises(InputError, match="one value in all of them"):
        dis.dci(factors, np.concatenate([np.zeros((1199, 1), int), [[1]]]))


def test_what_mig_of_chen_and_udr_refuse(factors):
    logvar = np.zeros(factors.shape)
    with pytest.raises(InputError, match="no full grid"):
        dis.mig_chen(factors[:-1], logvar[:-1], factors[:-1])
    with pytest.raises(InputError, match="no full grid"):
        dis.mig_chen(factors, logvar, np.concatenate([factors[:-1], factors[:1]]))
    with pytest.raises(InputError, match="shape of the mean"):
        dis.mig_chen(factors, logvar[:, :2], factors)
    with pytest.raises(InputError, match="at most 50"):
        dis.mig_chen(factors, logvar - 51, factors)
    with pytest.raises(InputError, match="which"):
        dis.mig_chen(factors, logvar, factors, which=(1, 3))
    with pytest.raises(InputError, match="at least two"):
        dis.udr([logvar], [np.ones(3)])
    with pytest.raises(InputError, match="the same 1200"):
        dis.udr([logvar, logvar[:9]], [np.ones(3)] * 2)
    with pytest.raises(InputError, match="KLs of model 1"):
        dis.udr([logvar, logvar], [np.ones(3), np.ones(4)])
    with pytest.raises(InputError, match="did you mean 'lasso'"):
        dis.udr([logvar, logvar], [np.ones(3)] * 2, method="laso")
