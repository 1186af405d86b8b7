"""The report: self-contained, escaped, with notes for missing parts, and valid in a browser."""

import functools
import html.parser
import importlib.machinery
import json
import pathlib
import re
import shutil
import subprocess
import sys
import types

import jinja2
import numpy as np
import pytest

from vae_jax import visualize
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import report
from vae_jax.experiment.report import formatting, sections
from vae_jax.experiment.report.comparison import comparison_page
from vae_jax.experiment.report.page import render_section
from vae_jax.experiment.report.workdir_files import PNG_END, PNG_START, read_workdir
from vae_jax.experiment.storage.environment import command_line, environment
from vae_jax.experiment.training import loop

VOID = ("meta", "link", "img", "br")
SECTIONS = {
    "numbers",
    "learning",
    "reconstructions",
    "samples",
    "interpolations",
    "traversals",
    "latent-map",
    "kl",
}
SECTIONS |= {"rate-distortion", "data", "config", "origin"}


class Page(html.parser.HTMLParser):
    """The elements of a page; AssertionError if they are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.images = []
        self.ids = []
        self.links = []
        self.urls = []
        self.notes = []
        self.texts = []
        self._open = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.images += [attributes] if tag == "img" else []
        self.links += [attributes["href"][1:]] if tag == "a" else []
        self.urls += [
            value
            for name, value in attributes.items()
            if name in ("src", "href", "srcset", "action", "data")
        ]
        self.notes += [attributes] if attributes.get("class") == "note" else []
        assert tag != "script"
        assert not any(name.startswith("on") for name in attributes)
        self._open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts += [] if self._open and self._open[-1] == "style" else [data]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def small():
    config = Config(name="small", seed=3)
    config.data.binarization = "dynamic"
    config.model.hidden, config.model.latent_dim = (16,), 3
    config.train.num_steps, config.train.batch_size = 20, 64
    config.train.log_every, config.train.eval_every = 5, 10
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "small"
    loop.train_and_evaluate(small(), workdir)
    return workdir


@pytest.fixture(scope="module")
def swept(finished, tmp_path_factory):
    """The workdir of a sweep, without the figures of its second trial."""
    workdir = tmp_path_factory.mktemp("runs") / "swept"
    results = json.loads((finished / "results.json").read_text())
    for beta in (0.5, 2.0):
        trial = pathlib.Path(shutil.copytree(finished, workdir / "trials" / f"beta={beta:g}"))
        config = json.loads((trial / "config.json").read_text())
        config["objective"]["beta"] = beta
        (trial / "config.json").write_text(json.dumps(config))
        change(
            trial,
            valid=results["valid"] | {"elbo": -32.0 + beta},  # the other one is better there
            test=results["test"] | {"elbo": -30.0 - beta, "rate": 4.0 - beta},
        )
    shutil.rmtree(trial / "figures")
    trials = {
        trial.name: json.loads((trial / "results.json").read_text())
        for trial in (workdir / "trials").iterdir()
    }
    sweep = {
        "name": "small",
        "swept": {"beta": [0.5, 2.0]},
        "trials": dict(sorted(trials.items())),
        "failed": {},
    }
    (workdir / "results.json").write_text(json.dumps(sweep))
    return workdir


@pytest.fixture
def copy(finished, tmp_path):
    return pathlib.Path(shutil.copytree(finished, tmp_path / "copy"))


def change(workdir, **values):
    path = workdir / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def opened(path):
    return Page(path.read_text())


def test_every_section_is_there_and_nothing_is_fetched(finished):
    path = report.write_report(finished)
    assert path == finished / "report.html"
    assert path.stat().st_size < 5_000_000
    page = opened(path)
    assert set(page.ids) >= SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    assert not page.notes
    assert all(len(image["alt"]) > 20 for image in page.images)
    assert len(page.images) == 6 + 3 + 2  # figures, learning curves, KL and rate-distortion
    assert all(url.startswith(("data:", "#")) for url in page.urls)
    assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\(", path.read_text())
    assert not list(finished.glob(".*"))


def test_numbers_stand_with_their_errors(finished):
    page = opened(report.write_report(finished))
    test = json.loads((finished / "results.json").read_text())["test"]
    assert f"{formatting.format_value(test['elbo'], test['elbo_stderr'])} nats" in page.text
    assert re.search(r"Test ELBO −\d+\.\d+ ± 0\.\d\d nats", page.text)
    assert "model.latent_dim 3 10" in page.text  # the config: ours, and the default


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (-113.10374, 0.58321, "−113.10 ± 0.58"),
        (1234567.8, 120.0, "1,234,568 ± 120"),
        (0.03, 0.0004, "0.03000 ± 0.00040"),
        (5, None, "5"),
        (0.123456, None, "0.1235"),
        (12.3456, None, "12.35"),
        (3.2e-9, None, "3.2e-09"),
        (None, None, "not finite"),
        (float("nan"), None, "not finite"),
        (True, None, "yes"),
        ([1.5, 2], [0.1, None], "1.50 ± 0.10, 2"),
        (1.5, None, "1.500"),
        (5.4993e-7, 1.637e-8, "5.5e-07 ± 1.64e-08"),
        (-5e-12, 1e-12, "−5e-12 ± 1e-12"),
        (-2.0020185e29, 2.0e29, "−2e+29 ± 2e+29"),
        ({"train": [0.0, 1.0], "test": [-2.5, 1e10]}, None, "train: 0, 1.000; test: −2.500, 1e+10"),
    ],
)
def test_digits_that_mean_something(value, stderr, text):
    assert formatting.format_value(value, stderr) == text


def test_what_is_written_by_others_is_escaped(copy):
    evil = "<script>alert(1)</script>&\"'"
    tree = {"estimator": evil, evil: 1.0, "text": evil, "inside": {evil: {evil: evil}}}
    verdict = dict.fromkeys(("verdict", "evidence", "remedy"), evil)
    change(
        copy,
        name=evil,
        estimator=evil,
        data={evil: evil},
        unknown=tree,
        metrics={"collapse": verdict},
    )
    change(copy, command=evil, environment={"versions": {evil: evil}, "device": evil})
    page = opened(report.write_report(copy))  # which fails at a script
    assert page.text.count("<script>alert(1)") > 10


def test_any_tree_of_numbers_is_shown(copy):
    metrics = {
        "collapse": {
            "verdict": "collapsed",
            "evidence": "0 of 3 latents are active.",
            "remedy": "Raise beta from 0.",
        },
        "quality": {
            "estimator": "of 100 samples",
            "frechet[digits]": 12.345,
            "frechet_stderr[digits]": 0.5,
        },
        "anomaly": {
            "scores": {
                name: {"auroc": 0.75, "auroc_stderr": 0.02} for name in ("elbo", "reconstruction")
            }
        },
        "decomposition": {"kl_per_layer": [1.0, 0.25], "kl_per_layer_stderr": [0.1, 0.01]},
        "odd": {"list": [[1, 2], [3]], "empty": {}, "none": None},
    }
    change(copy, metrics=metrics, seconds={"quality": 75.0})
    page = opened(report.write_report(copy))
    assert page.text.index("Collapsed 0 of 3 latents are active. Raise beta") < page.text.index(
        "Final numbers"
    )
    assert "Frechet[digits] 12.35 ± 0.50" in page.text
    assert page.text.count("0.750 ± 0.020") == 2
    assert "Time, sample quality 1 min 15 s" in page.text or "Time, quality 1 min 15 s" in page.text
    assert any("KL of each layer" in image["alt"] for image in page.images)
    assert not page.notes


def test_the_histogram_of_anomaly_scores(copy):
    rng = np.random.default_rng(0)
    scores = {"elbo/normal": rng.normal(0, 1, 50), "elbo/anomalous": rng.normal(2, 1, 50)}
    np.savez(copy / "anomaly.npz", **scores)
    found = {
        "scores_file": "anomaly.npz",
        "scores": {"elbo": {"auroc": 0.9, "auroc_stderr": 0.02, "threshold": 1.6}},
    }
    change(copy, metrics={"anomaly": found})
    page = opened(report.write_report(copy))
    assert any("AUROC 0.900 ± 0.020" in image["alt"] for image in page.images)
    (copy / "anomaly.npz").write_bytes(b"PK damaged")
    page = opened(report.write_report(copy))
    assert not any("AUROC" in image["alt"] for image in page.images)
    assert "0.900 ± 0.020" in page.text


def test_what_is_missing_or_damaged_is_said(copy):
    (copy / "figures" / "reconstructions.png").unlink()
    (copy / "figures" / "traversals.png").write_bytes(
        (copy / "figures" / "traversals.png").read_bytes()[:1000]
    )
    (copy / "config.json").write_text("{")
    (copy / "metrics.jsonl").write_text(
        '{"step": {}, "split": []}\n{"step": 1, "split": "valid", "elbo": [1]}\nnot json\n'
    )
    page = opened(report.write_report(copy))
    assert "figure reconstructions of small is missing or damaged" in page.text
    assert "figure traversals of small is missing or damaged" in page.text
    assert "config.json is missing or damaged" in page.text
    assert "No verdict" not in page.text


@pytest.mark.parametrize(
    "values",
    [
        {"test": None},
        {"test": {"elbo": "x", "rate": [1]}},
        {"data": 5, "metrics": [1]},
        {"step": {}},
    ],
)
def test_results_of_another_shape_never_break_the_page(copy, values):
    change(copy, **values)
    assert {"config", "origin"} <= set(opened(report.write_report(copy)).ids)


def test_no_results_say_what_to_run(copy, tmp_path):
    (copy / "results.json").write_text("{")
    with pytest.raises(InputError, match=r"results\.json cannot be read .*--mode=eval"):
        report.write_report(copy)
    (copy / "results.json").unlink()
    with pytest.raises(
        InputError,
        match=r"no results\.json yet; create it with: python -m vae_jax\.main --workdir=.* "
        "--mode=eval",
    ):
        report.write_report(copy)
    with pytest.raises(InputError, match="no run there"):
        report.write_report(tmp_path / "nothing")


def test_a_page_has_room_for_some_pictures_only(copy, monkeypatch):
    monkeypatch.setattr("vae_jax.experiment.report.figures.MAX_BYTES", 60_000)
    page = opened(report.write_report(copy))
    assert "has no room on this page" in page.text


def write_history(workdir, num_lines):
    rng = np.random.default_rng(0)
    lines = [
        {
            "step": step,
            "split": split,
            **dict.fromkeys(("elbo", "distortion", "rate"), rng.normal() + 30),
        }
        for step in range(num_lines // 2)
        for split in ("train", "valid")
    ]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def curves_of(page):
    return [image["src"] for image in page.images if image["alt"].startswith("Curve")]


def test_long_runs_and_large_pictures_still_make_a_small_page(copy):
    write_history(copy, 6000)
    for name, size in (
        ("reconstructions", 100),
        ("samples", 3_000_000),
        ("interpolations", 700_000),
    ):
        (copy / "figures" / f"{name}.png").write_bytes(PNG_START + bytes(size) + PNG_END)
    path = report.write_report(copy)
    assert path.stat().st_size < 5_000_000
    page = opened(path)
    assert len(curves_of(page)) == 3
    assert sum(map(len, curves_of(page))) < 300_000
    assert [image["alt"] for image in page.images if "Samples of the model" in image["alt"]]
    assert "figure interpolations of small has no room on this page" in page.text
    path = report.write_comparison([copy] * 20, copy / "comparison.html")
    assert path.stat().st_size < 5_000_000
    assert sum(map(len, curves_of(opened(path)))) < 700_000


def test_a_metric_that_failed_is_said(copy):
    failed = {"failed": "it took <too much> memory"}
    change(copy, metrics=dict.fromkeys(("collapse", "quality", "anomaly"), failed))
    page = opened(report.write_report(copy))
    assert page.text.count("could not be measured: it took <too much> memory") == 2
    assert "No verdict on the latents, it could not be made: it took <too much> memory" in page.text
    assert len(page.notes) == 3
    page = opened(report.write_comparison([copy, copy], copy / "comparison.html"))
    assert "small: Sample quality could not be measured: it took <too much> memory" in page.text


def test_metrics_are_side_by_side(swept, tmp_path):
    copy = pathlib.Path(shutil.copytree(swept, tmp_path / "copy"))
    likelihood = {
        "log_likelihood": -28.5,
        "log_likelihood_stderr": 0.25,
        "ess_mean": 12.5,
        "num_samples": 8,
    }
    scores = {"elbo": {"auroc": 0.75, "auroc_stderr": 0.02, "threshold": 1.5}}
    distances = {
        kind: {"frechet[digits]": value, "precision": 0.321}
        for kind, value in (("draws", 12.345), ("means", 23.456))
    }
    metrics = {"likelihood": likelihood, "anomaly": {"scores": scores}, "quality": distances}
    change(
        copy / "trials" / "beta=2",
        metrics=metrics | {"disentanglement": {"mig_chen": 0.1234, "irs": 0.9876}},
    )
    udr = {
        "estimator": "made so",
        "beta=2": {"mean": 0.4567, "deviation": 0.0321, "models": [0.4, 0.5]},
    }
    change(copy, metrics={"udr": udr})
    for page in map(
        opened, (report.write_report(copy), report.write_comparison([copy], tmp_path / "page.html"))
    ):
        assert "metrics" in page.links
        _, text = page.text.split(
            "Run UDR of the setting, mean over its seeds Marginal likelihood: log p(x) (nats) "
        )
        head, rows = text.split("beta=0.5 ", 1)
        for column in (
            "Anomaly detection: AUROC",
            "Sample quality: Frechet[digits]",
            "Disentanglement: MIG (Chen)",
        ):
            assert column in head
        assert "beta=2 0.4567 −28.50 ± 0.25 " in rows
        assert "0.750 ± 0.020" in rows
        assert "0.1234" in rows
        assert "small: Unsupervised disentanglement ranking (UDR) Made so." in rows
        assert "0.03210" in rows
        assert "0.321 " not in rows
        assert "0.9876" not in rows


def test_a_sweep_becomes_a_comparison_of_its_trials(swept):
    page = opened(report.write_report(swept))
    assert {"numbers", "curves", "rate-distortion", "samples", "differences"} <= set(page.ids)
    assert re.search(r"beta=0\.5 .* ± .* beta=2 .* ± ", page.text)
    assert "Test ELBO of the best on validation: beta=2, −32.00 ± " in page.text
    assert "objective.beta" in page.text
    assert "figure samples of small is missing" in page.text
    svg = [image for image in page.images if image["src"].startswith("data:image/svg")]
    assert len(svg) == 4
    assert all(len(image["alt"]) > 20 for image in page.images)


def test_trials_without_results_are_said(swept, tmp_path):
    copy = pathlib.Path(shutil.copytree(swept, tmp_path / "copy"))
    (copy / "trials" / "beta=2" / "results.json").unlink()
    change(copy, failed={"beta=9": "it <diverged>"})
    page = opened(report.write_report(copy))
    assert "beta=2 has no results: " in page.text
    assert "beta=9 has no results: it <diverged>" in page.text


def test_several_workdirs_on_one_page(finished, swept, tmp_path):
    page = opened(report.write_comparison([finished, swept, finished], tmp_path / "page.html"))
    names = ["small", "small beta=0.5", "small beta=2", "small (small)"]
    assert all(f"{name} " in page.text for name in names)
    assert "4 runs" in page.text
    assert "Test ELBO of the best on validation" in page.text
    with pytest.raises(InputError, match="workdirs"):
        report.write_comparison([], tmp_path / "page.html")


def test_runs_without_a_rate_are_left_out_of_the_plane(finished, copy):
    change(copy, test={})
    page = Page(comparison_page("c", {"a": read_workdir(copy), "b": read_workdir(finished)}))
    assert [image["alt"] for image in page.images if "equal ELBO. b: " in image["alt"]]


def test_a_section_that_fails_becomes_a_note():
    section = render_section("x", "X", lambda: {}["<missing>"])
    assert "This part cannot be shown (KeyError: &#39;&lt;missing&gt;&#39;)." in section.body
    with pytest.raises(jinja2.UndefinedError):  # not a matter of the data: an error in a template
        render_section("x", "X", lambda: [{"kind": "paragraph"}])


def test_bounds_of_other_quantities_have_no_best(finished, copy):
    data = json.loads((copy / "results.json").read_text())["data"]
    change(copy, data=data | {"test_sha256": "other"})
    assert "best on validation" not in comparison_page(
        "c", {"a": read_workdir(finished), "b": read_workdir(copy)}
    )
    assert "best on validation" in comparison_page(
        "c", {"a": read_workdir(finished), "b": read_workdir(finished)}
    )


def relabeled(path, copy, **changes):
    """A copy of a run with other data or likelihood in its results, as `changes`."""
    other = pathlib.Path(shutil.copytree(copy, path))
    results = json.loads((other / "results.json").read_text())
    data = results["data"] | changes.pop("data", {})
    change(other, data=data, **changes)
    return other


@pytest.mark.parametrize(
    ("changes", "num_tables"),
    [
        ({}, 1),
        ({"likelihood": "autoregressive"}, 1),  # probabilities of the same values
        ({"likelihood": "gaussian"}, 2),
        ({"data": {"test_sha256": "other"}}, 2),
        ({"data": {"binarization": "static"}}, 2),
        ({"data": {"binary": False}}, 2),  # not normalized
        ({"data": {"scale": 1 / 255}}, 2),
    ],
)
def test_numbers_that_cannot_be_compared_have_their_own_tables(
    finished, tmp_path, changes, num_tables
):
    other = read_workdir(relabeled(tmp_path / "other", finished, **changes))
    text = comparison_page("c", {"a": read_workdir(finished), "b": other})
    assert text.count('<th scope="col">ELBO (nats)</th>') == num_tables
    assert ("cannot be compared: each kind has its own table" in text) == (num_tables > 1)
    assert len(curves_of(Page(text))) == 3 * num_tables


@pytest.fixture
def seeds(finished, tmp_path):
    """The workdir of a sweep over beta and seed; the luckiest trial is not of the best setting."""
    workdir = tmp_path / "seeds"
    values = {"beta=1,seed=0": -10.0, "beta=1,seed=1": -40.0}
    values |= {"beta=2,seed=0": -20.0, "beta=2,seed=1": -22.0}
    results = json.loads((finished / "results.json").read_text())
    for name, elbo in values.items():
        trial = pathlib.Path(shutil.copytree(finished, workdir / "trials" / name))
        config = json.loads((trial / "config.json").read_text())
        config["objective"]["beta"], config["seed"] = float(name[5]), int(name[-1])
        (trial / "config.json").write_text(json.dumps(config))
        parts = {split: results[split] | {"elbo": elbo} for split in ("valid", "test")}
        change(trial, seed=config["seed"], **parts)
    trials = {
        name: json.loads((workdir / "trials" / name / "results.json").read_text())
        for name in values
    }
    content = {"name": "seeds", "swept": {"beta": [1, 2], "seed": [0, 1]}, "trials": trials}
    (workdir / "results.json").write_text(json.dumps(content))
    return workdir


def test_a_sweep_has_mean_and_spread_and_names_the_best_setting(seeds, tmp_path):
    page = opened(report.write_report(seeds))
    best = "Test ELBO of the best on validation: beta=2, −21.0 ± 1.4 nats, mean and deviation of 2"
    assert best in page.text
    _, means = page.text.split("Mean over the seeds of each setting")
    assert re.search(r"beta=1 2 −25 ± 21 .*beta=2 2 −21\.0 ± 1\.4 ", means)
    change(seeds, failed={"beta=2,seed=1": "diverged", "beta=2,seed=2": "diverged"})
    page = opened(report.write_report(seeds))
    assert "best on validation: beta=1, −25 ± 21 nats" in page.text
    assert re.search(r"beta=2 1 of 3 −20\.00 ", page.text)
    page = opened(report.write_comparison([seeds], tmp_path / "page.html"))
    assert "best on validation: seeds beta=2, −21.0 ± 1.4 nats" in page.text


def test_columns_have_their_names_and_units_on_the_page(copy):
    numbers = {"rmse": 1.25, "rmse_stderr": 0.13, "train_std": 2.0}
    missing = {"rmse": None, "rmse_stderr": None, "train_std": 3.0}
    share = {"wrong": 0.125, "wrong_stderr": 0.01, "majority_share": 0.6}
    columns = {
        "estimator": "rows of the test",
        "numbers": {"num_visits": numbers, "elbo": missing, "<b>": numbers},
        "categories": {"blood_type": share},
        "association": {"difference": 0.07, "training_rows": 0.04, "independent_columns": None},
    }
    change(copy, columns=columns)
    page = opened(report.write_report(copy))
    assert "columns" in page.ids
    for name in ("num_visits", "elbo", "<b>", "blood_type"):  # not as names of metrics
        assert name in page.texts
    for text in ("1.25 ± 0.13", "12.5 ± 1.0%", "60.00%", "no observed value", "0.07000"):
        assert text in page.texts
    assert "Independent columns" not in page.texts


def test_left_out_is_told_on_the_page(copy):
    text = "1 of 9 examples has no finite bound (row 3) of test"
    left_out = {"skipped_steps": 76, "num_steps": 400, "not_finite": {"test": {"text": text}}}
    change(copy, **left_out)
    page = opened(report.write_report(copy))
    assert "76 of 400 steps were skipped" in page.text
    assert f"{text}; the means are over the other examples." in page.text


@pytest.mark.parametrize("name", ["worse than the baseline", "unused rate", "blind", "unknown"])
def test_verdicts_have_titles(copy, name):
    change(copy, metrics={"collapse": {"verdict": name, "evidence": "Seen.", "remedy": ""}})
    text = report.write_report(copy).read_text()
    style, title = sections.VERDICTS[name]
    assert f'<div class="verdict {style}"><p><strong>{title}' in text


def test_the_environment_of_a_run():
    found = environment()
    assert {"python", "jax", "flax", "numpy"} <= found["versions"].keys()
    assert found["cores"] >= 1
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("module", "argv", "text"),
    [
        (
            "vae_jax.main",
            ["/somewhere/vae_jax/main.py", "--config=a b.py"],
            "python -m vae_jax.main '--config=a b.py'",
        ),
        ("package.__main__", ["/somewhere/package/__main__.py"], "python -m package"),
        (None, ["train.py", "1"], "train.py 1"),
        (None, ["/home/me/vae_jax/mine.py", "1"], "mine.py 1"),
        (None, ["/home/me/vae_jax/my own.py"], "'my own.py'"),
        (None, ["vae_jax/mine.py"], "vae_jax/mine.py"),
    ],
)
def test_the_command_of_a_run(monkeypatch, module, argv, text):
    running = types.ModuleType("__main__")
    running.__spec__ = None if module is None else importlib.machinery.ModuleSpec(module, None)
    monkeypatch.setitem(sys.modules, "__main__", running)
    monkeypatch.setattr("sys.argv", argv)
    assert command_line() == text


PROBE = """<script>
window.addEventListener("load", () => {
  const isBroken = (image) => !image.complete || !image.naturalWidth;
  const broken = [...document.images].filter(isBroken).length;
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  document.documentElement.dataset.seen = [document.images.length, broken, wide].join(" ");
});
</script></head>"""


@functools.cache
def browser():
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def seen(path, tmp_path, width):
    """(images, broken images, overflow, console lines) of a page in the browser."""
    probed = tmp_path / "probed.html"
    probed.write_text(path.read_text().replace("</head>", PROBE, 1))
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--enable-logging=stderr",
    )
    profile = (f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}")
    command = [browser(), *options, *profile, "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    images, broken, wide = re.search(r'data-seen="(\d+) (\d+) (\w+)"', done.stdout).groups()
    return (
        int(images),
        int(broken),
        wide == "true",
        [line for line in done.stderr.splitlines() if "CONSOLE" in line],
    )


needs_browser = pytest.mark.skipif(
    browser() is None, reason="no Chromium here; apt-get install chromium, see CONTRIBUTING.md"
)


def test_figures_of_text_and_of_molecules(finished, tmp_path):
    workdir = pathlib.Path(shutil.copytree(finished, tmp_path / "lines"))
    figures = workdir / "figures"
    for path in figures.glob("*.png"):
        path.unlink()
    names = ("text_samples", "text_traversals", "molecule_neighbors", "molecule_search")
    figure = visualize.text_samples(["CCO" * 100])
    for name in names:
        visualize.save(figure, figures / f"{name}.png")
    page = Page(report.write_report(workdir).read_text())
    pictures = [image for image in page.images if image["src"].startswith("data:image/png")]
    assert len(pictures) == len(names)
    for image in pictures:  # of two pixels for one
        assert int(image["width"]) == pytest.approx(96 * figure.get_figwidth(), abs=1)
    assert {"samples", "neighbors", "best-found", "traversals"} <= set(page.ids)
    assert "missing or damaged" not in page.text  # grids of images are for images
    comparison = Page(report.write_comparison([workdir], tmp_path / "page.html").read_text())
    assert [image["alt"] for image in comparison.images][-1] == "small: samples from the prior"


@needs_browser
@pytest.mark.parametrize("width", [1280, 500])
def test_it_opens_in_a_browser(finished, tmp_path, width):
    path = report.write_report(finished)
    assert not opened(path).notes  # no figure is missing
    assert seen(path, tmp_path, width) == (11, 0, False, [])


@needs_browser
def test_the_browser_would_notice(finished, tmp_path):
    path = tmp_path / "broken.html"
    text = (
        report.write_report(finished)
        .read_text()
        .replace("data:image/png;base64,iVBOR", "data:image/png;base64,xxxxx", 1)
    )
    path.write_text(
        text.replace(
            "</main>", '<p style="width: 2000px">x</p><script>console.error("no")</script></main>'
        )
    )
    images, broken, wide, console = seen(path, tmp_path, 500)
    assert (images, broken, wide) == (11, 1, True)
    assert len(console) == 1
