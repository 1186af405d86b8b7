"""The configs of published results, and the table that is made of the results that are kept."""

import dataclasses
import json
import math
import pathlib
import runpy

import numpy as np
import pytest
from platforms import export_run

from benchmarks import blocks, published_results, published_table
from vae_jax.config import AUTO, Config, Sweep
from vae_jax.config.published import Bar, Row, read_number
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.builders.auto import resolve_binarization
from vae_jax.experiment.run import make_runs
from vae_jax.experiment.training import loop
from vae_jax.experiment.validation import validate

ROOT = pathlib.Path(__file__).parents[2]
ENTRIES = published_results.read_entries()
SHAPES = {"vq_vae": (32, 32, 3), "linear_vae": (8, 8, 1)}
FEW = {  # the smallest evaluations
    "likelihood_samples": 4,
    "gap_examples": 2,
    "gap_steps": 2,
    "population": 200,
    "anomaly_examples": 10,
    "compression_examples": 4,
}


def stem(name):
    return ENTRIES[name].name.partition(":")[0]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_published_config(name) -> None:
    entry = ENTRIES[name]
    validate(entry.config)
    text = (ROOT / "configs" / "published" / f"{stem(name)}.py").read_text()
    command = f"python -m vae_jax.main --config=published/{entry.name} {entry.row.flags}".strip()
    assert command in " ".join(text.split())
    assert entry.row.bars
    assert len({bar.quantity for bar in entry.row.bars}) == len(entry.row.bars)
    for bar in entry.row.bars:  # the number that is published or aimed at
        assert not bar.published or bar.published.split()[0].rstrip("0.") in text
    shape = SHAPES.get(stem(name), (28, 28, 1))
    if entry.config.data.name != "sprites" and entry.config.model.likelihood == AUTO:
        entry.config.model.likelihood = "bernoulli"
    builders.build_model(
        entry.config, shape if entry.config.data.name != "sprites" else (64, 64, 1)
    )
    builders.build_optimizer(entry.config)


@pytest.mark.parametrize(
    "path", sorted(published_results.CONFIGS.glob("*.py")), ids=lambda p: p.stem
)
def test_an_unknown_variant_is_refused(path) -> None:
    get_config = runpy.run_path(str(path))["get_config"]
    assert get_config().name == f"published_{path.stem}"
    with pytest.raises(InputError, match="variant 'typo' of the config: unknown"):
        get_config("typo")


def test_the_page_is_what_the_generator_writes() -> None:
    page, table = published_results.render()
    assert (ROOT / "docs" / "results.md").read_text() == page
    readme = (ROOT / "README.md").read_text()
    if blocks.markers(published_results.BLOCK)[0] in readme:
        written = blocks.replace_block(readme, published_results.BLOCK, table, "README.md")
        assert written == readme


def test_kept_results_say_how_they_were_made() -> None:
    for name, kept in published_results.read_kept(ENTRIES).items():
        paths = {path for bar in ENTRIES[name].row.bars for path in bar.paths()}
        assert kept["numbers"].keys() == paths
        assert all(len(values) == len(kept["seeds"]) for values in kept["numbers"].values())
        assert len(kept["commit"]) == 40
        assert f"--config=published/{ENTRIES[name].name}" in kept["command"]
        for word in ("/tmp", "/home", "/work", "workdir"):  # places on a machine
            assert word not in json.dumps(kept)


def make_entry() -> published_results.Entry:
    bars = (
        Bar("loss, nats", "test/elbo", "3.0", at_most=2.5, factor=-1),
        Bar("gap, nats", "metrics/gap/a", minus="metrics/gap/b", by="median", digits=1),
    )
    config = Config(name="published_x")
    config.data.name, config.data.path = "npz", "x.npz"
    row = Row("model x", bars, "nobody", "--config.data.path=x.npz", "A note.")
    return published_results.Entry("x", row, config)


def results_of(seed: int, elbo: float) -> dict:
    return {
        "name": "published_x",
        "seed": seed,
        "step": 7,
        "test": {"elbo": elbo},
        "metrics": {"gap": {"a": 2.0 + seed, "b": 0.5}},
        "seconds": {"gap": 30.0},
        "training_command": "python -m vae_jax.main --config=published/x "
        "--config.data.path=/home/me/x.npz --workdir=/tmp/x",
        "training": {
            "seconds": 600.0,
            "started": "2026-01-02 03:04:05 UTC",
            "git_commit": "a" * 40,
        },
        "environment": {"platform": "cpu", "cores": 2, "processor": "P", "versions": {"jax": "1"}},
        "data": {"test_sha256": "c"},
    }


def write_run(folder: pathlib.Path, results: dict, config: Config) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config)))


def test_a_run_is_kept_and_shown(tmp_path) -> None:
    entry = make_entry()
    entries = {"published_x": entry}
    page = published_table.full_page(entries, {})
    assert page.count(published_table.NOT_RUN) == 3
    config = dataclasses.replace(entry.config, data=dataclasses.replace(entry.config.data))
    config.data.path = "/home/me/x.npz"
    write_run(tmp_path / "run", results_of(0, -2.4), config)
    path = published_results.keep(tmp_path / "run", entries, tmp_path / "kept")
    assert path.name == "x.json"
    assert "/home" not in path.read_text()
    assert "/tmp" not in path.read_text()
    kept = published_results.read_kept(entries, tmp_path / "kept")
    page = published_table.full_page(entries, kept)
    assert "| model x | loss, nats | 3.0 | <= 2.5 | 2.40 |  | yes |" in page
    assert "|  | gap, nats |  |  | 1.5 (median) |  |  |" in page
    assert "| 0 | 2 cores, P | 10 min | 30 s | 2026-01-02 | aaaaaaaaaa |" in page
    assert "`python -m vae_jax.main --config=published/x --config.data.path=x.npz`" in page
    assert "Source: nobody. A note." in page
    assert "| model x | loss, nats | 3.0 | 2.40 | 1 of 1 |" in published_table.short_table(
        entries, kept
    )


def test_variants_share_a_row_of_the_short_table():
    first = make_entry()
    second = first._replace(name="x:other", row=dataclasses.replace(first.row, title="the other"))
    entries = {"published_x": first, "published_x_other": second}
    losses = (-2.4, -2.6)  # the bar is 2.5
    results = [published_results.trim(first, results_of(0, elbo)) for elbo in losses]
    kept = dict(zip(entries, results, strict=True))
    lines = published_table.short_table(entries, kept).splitlines()
    assert lines[2:] == ["| model x | loss, nats | 3.0 | 2.40 | 1 of 2 |"]


def test_seeds_of_a_sweep_are_summarized(tmp_path) -> None:
    entry = make_entry()
    entry.config.sweep = Sweep(seed=(0, 1, 2))
    sweep = {
        "name": "published_x",
        "swept": {"seed": [0, 1, 2]},
        "failed": {},
        "trials": {f"seed={seed}": results_of(seed, -3.0 - seed) for seed in range(3)},
    }
    write_run(tmp_path / "run", sweep, entry.config)
    for seed in range(3):
        config = dataclasses.replace(entry.config, seed=seed, sweep=Sweep())
        write_run(tmp_path / "run" / "trials" / f"seed={seed}", {}, config)
    entries = {"published_x": entry}
    published_results.keep(tmp_path / "run", entries, tmp_path)
    kept = published_results.read_kept(entries, tmp_path)
    assert kept["published_x"]["seconds"] == {"training": 600.0, "metrics": 90.0}
    page = published_table.full_page(entries, kept)
    assert "| model x | loss, nats | 3.0 | <= 2.5 | 4.00 | 1.00 | missed |" in page
    assert "|  | gap, nats |  |  | 2.5 (median) | 1.0 |  |" in page


def test_what_is_not_the_committed_config_is_refused(tmp_path) -> None:
    entry = make_entry()
    entries = {"published_x": entry}
    with pytest.raises(InputError, match=r"has no results\.json"):
        published_results.keep(tmp_path, entries, tmp_path)
    shorter = dataclasses.replace(entry.config, train=dataclasses.replace(entry.config.train))
    shorter.train.num_steps = 5
    write_run(tmp_path / "run", results_of(0, -2.4), shorter)
    with pytest.raises(InputError, match=r"config\.train\.num_steps: 2000 here, 5 there"):
        published_results.keep(tmp_path / "run", entries, tmp_path)
    write_run(tmp_path / "run", results_of(0, -2.4) | {"name": "vae"}, shorter)
    with pytest.raises(InputError, match="a run of 'vae', which is not in configs/published"):
        published_results.keep(tmp_path / "run", entries, tmp_path)
    seeds = dataclasses.replace(entry.config, sweep=Sweep(seed=(0, 1)))
    swept = {"published_x": entry._replace(config=seeds)}
    write_run(tmp_path / "run", results_of(0, -2.4), entry.config)
    with pytest.raises(InputError, match="one run; the committed config sweeps"):
        published_results.keep(tmp_path / "run", swept, tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="belong to no row"):
        published_results.read_kept(entries, tmp_path)


def test_numbers_by_path_and_bars() -> None:
    results = {"a": {"b/c": {"d": 1}, "b": {"c": {"e": 2.5}}, "flag": True}}
    assert read_number(results, "a/b/c/d") == 1
    assert read_number(results, "a/b/c/e") == 2.5
    for path in ("a/b/c/f", "a/flag", "a", "x"):
        with pytest.raises(InputError, match="no such number"):
            read_number(results, path)
    bar = Bar("q", "p", at_least=1, at_most=2)
    assert [bar.is_reached(value) for value in (0.9, 1, 2, 2.1, math.nan)] == [
        *(False, True, True, False, False)
    ]
    assert Bar("q", "p").is_reached(1) is None
    assert bar.summarize([1, 2, 9]) == 4
    assert Bar("q", "p", by="median").summarize([1, 2, 9]) == 2


def test_a_block_of_a_document() -> None:
    begin, end = blocks.markers("x")
    assert blocks.replace_block(f"a{begin}old{end}b", "x", "t", "a.md") == f"a{begin}\nt\n{end}b"
    for text in (f"{end}{begin}", f"{begin}{begin}{end}", ""):
        with pytest.raises(InputError, match=r"a\.md: .*each once"):
            blocks.replace_block(text, "x", "t", "a.md")


def images_for(name, path):
    """A file in place of the data of a config: binary, gray, or colored images."""
    rng = np.random.default_rng(0)
    shape = SHAPES.get(stem(name), (28, 28, 1))
    high = 2 if stem(name) in ("static_mnist", "gumbel_softmax") else 256
    arrays = {}
    for split, size in (("train", 300), ("test", 20)):
        if stem(name) == "linear_vae":
            arrays[f"{split}_images"] = rng.uniform(size=(size, *shape)).astype(np.float32)
        else:
            arrays[f"{split}_images"] = rng.integers(0, high, (size, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(size) % 10
    np.savez(path, **arrays)


def small_config(name, folder):
    """The config of a row, with small data in the folder instead of those that are not here."""
    config = published_results.read_entries()[name].config
    if config.data.name != "sprites":
        images_for(name, folder / "data.npz")
        config.data.binarization = resolve_binarization(config).data.binarization
        config.data.name, config.data.path = "npz", str(folder / "data.npz")
        config.data.valid_fraction = 0.2
    if config.evaluation.anomaly:
        config.evaluation.anomaly = str(folder / "data.npz")
    config.train.batch_size = 20
    return config


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_a_published_config_runs_to_its_row(name, tmp_path) -> None:
    """A few steps on small data; every number of the row is in the results."""
    entry, config = ENTRIES[name], small_config(name, tmp_path)
    if config.objective.beta_steps:
        config.objective.beta_steps = 2
    config.train.num_steps, config.train.log_every, config.train.eval_every = 4, 2, 4
    for field, value in FEW.items():
        if getattr(config.evaluation, field) != getattr(Config().evaluation, field):
            setattr(config.evaluation, field, value)
    if config.sweep.seed:
        config.sweep.seed = (0, 1)
    results = loop.train_and_evaluate(config, tmp_path / "run")
    kept = published_results.trim(entry, results)
    json.dumps(kept)
    assert len(kept["seeds"]) == (2 if config.sweep.seed else 1)
    published_table.full_page({name: entry}, {name: kept})


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_a_published_config_is_lowered_for_every_platform(name, tmp_path) -> None:
    config = small_config(name, tmp_path)
    config.train.num_steps = 4
    export_run(make_runs(config, tmp_path / "run")[0])
