"""The metric `search`: its numbers and file on a tiny model of molecules, and what it refuses."""

import jax
import numpy as np
import pytest
from test_suite import make_context, numbers_in, small

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.evaluation.molecules import canonical, properties
from vae_jax.evaluation.search import Decoded, read_candidates
from vae_jax.experiment import figures, metrics
from vae_jax.experiment.metrics import search
from vae_jax.experiment.report import formatting
from vae_jax.experiment.run import make_run

pytest.importorskip("rdkit")

FEW = {
    "data__name": "molecules",
    "data__binarization": "none",
    "model__network": "gru",
    "model__encoder_width": 8,
    "model__decoder_width": 8,
    "evaluation__search_budget": 6,
    "evaluation__search_rounds": 2,
    "evaluation__search_points": 20,
    "evaluation__search_examples": 40,
}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return make_context(small("search", **FEW), tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def numbers(context):
    """With a decoder that gives ethanol, nothing valid, or a training molecule."""
    text = context.dataset.text
    lines = ["CCO", "C(", text.decode_rows(np.asarray(context.dataset.train.images[:1]))[0]]
    rows = text.encode_lines(lines, context.dataset.shape[0])

    def decode(params, z):
        return rows[np.arange(len(z)) % len(lines)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_decoder", lambda model: decode)
        return metrics.METRICS["search"](context, jax.random.key(0)), lines[2]


def test_a_split_without_valid_molecules_is_named(context):
    invalid = Decoded([None] * 40, np.full(40, np.nan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_measure", lambda *_: invalid)
        with pytest.raises(InputError, match="0 of 40 molecules of train are valid; search needs"):
            metrics.METRICS["search"](context, jax.random.key(0))


def test_candidates_are_decoded_and_their_property_recomputed(context, numbers):
    result, known = numbers
    table = read_candidates(context.workdir / result["candidates_file"])
    names = ["ascent", "neighbors", "bayesian", "prior"]
    assert list(result["searches"]) == names
    assert list(dict.fromkeys(table.method.tolist())) == names
    assert (np.unique(table.method, return_counts=True)[1] == 6).all()
    smiles = canonical([known])[0]
    values = {"CCO": -0.0014, None: np.nan, smiles: properties([known], ["logp"])["logp"][0]}
    expected = [values[entry] for entry in table.decoded]
    np.testing.assert_allclose(table.recomputed, expected, atol=1e-4)
    assert (table.in_training == (table.decoded == smiles)).all()
    assert (table.start[table.method == "ascent"] >= 0).all()
    assert (table.distance[table.method == "ascent"] <= 1 + 1e-4).all()
    for name in names:
        part = table.select(table.method == name)
        assert result["searches"][name]["validity"] == pytest.approx(part.is_valid.mean())
        assert 0 < part.is_valid.mean() < 1
    ascent = table.select(table.method == "ascent")
    assert ascent.start_value[0] == pytest.approx(result["best_training"])
    assert result["best_training"] == max(ascent.start_value)


def test_the_numbers_are_described(numbers):
    result, _ = numbers
    assert set(result["regressions"]) == {"ridge", "network", "constant"}
    assert result["regressions"]["constant"]["r2"] <= 0
    assert result["rate_weight"] > 0
    assert "6 candidates of each search to maximize logp;" in result["estimator"]
    assert f"of the prediction of the {result['predictor']}, the" in result["estimator"]
    assert all(np.isfinite(list(numbers_in(result["regressions"]))))
    line = metrics.describe("search", result)
    assert "best_training" in line
    assert "searches/ascent/prediction_gap" in line
    tables = [b for b in formatting.number_blocks(result) if b["kind"] == "table"]
    assert any("Ascent" in row[0] for block in tables for row in block["rows"])


def test_a_prediction_is_too_good_by_the_error_of_its_own_regression():
    regressions = {"ridge": {"mae": 0.1}, "network": {"mae": 0.4}, "constant": {"mae": 9.0}}
    for kind, expected in (("ridge", 0.3), ("network", 1.2)):
        numbers = {"predictor": kind, "regressions": regressions}
        assert figures.tolerance_of(numbers) == pytest.approx(expected)


def test_real_decoding_gives_sequences(context):
    decoded = search._decode(context, np.zeros((3, 3)))
    assert len(decoded.examples) == len(decoded.values) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "digits"}, r"'search': doesn't fit config.data.name = 'digits'"),
        ({"property": "mass"}, "config.evaluation.search_property = 'mass': unknown; allowed are"),
        ({"budget": 3}, "config.evaluation.search_rounds = 5: must be at most"),
        ({"posterior": "deterministic"}, "it moves codes by gradients"),
    ],
)
def test_what_it_cannot_do_is_refused(changes, message, tmp_path):
    config = Config(name="small")
    config.data.name, config.evaluation.metrics = changes.get("name", "molecules"), ("search",)
    config.evaluation.search_property = changes.get("property", "qed")
    config.evaluation.search_budget = changes.get("budget", 200)
    if "posterior" in changes:
        config.model.posterior, config.objective.name = changes["posterior"], "reconstruction"
    with pytest.raises(InputError, match=message):
        make_run(config, tmp_path)
