"""Every notebook runs from top to bottom with its small settings, and its numbers are right."""

import json
import math
import os
import pathlib
import re
import sys

import nbclient
import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

ROOT = pathlib.Path(__file__).parents[2]
FIGURES = {  # cells with a figure
    "vae_in_jax": {
        "data",
        "holes",
        "curve",
        "reconstruct",
        "sample",
        "interpolate",
        "beta-plane",
        "beta-samples",
        "collapse-images",
    },
    "explore_latents": {"latents", "traversals", "map", "anomaly-images"},
    "your_own_objective": {"reconstruct"},
    "scaling_on_tpu": {"plane"},
    "tables": {"score-figure"},
    "molecules": {
        "data",
        "reconstruct",
        "sample",
        "properties",
        "neighbors",
        "interpolate",
        "search",
    },
}
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, monkeypatch):
    """(name, expression) -> cells of a run with small settings, and the expression at its end."""
    write_kernel_spec(tmp_path / "kernels" / "this-python")
    monkeypatch.setenv("JUPYTER_PATH", os.fspath(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compilation dominates
    paths = [os.fspath(ROOT), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    work = tmp_path / "work"
    work.mkdir()

    def execute(name, expression):
        notebook = nbformat.read(ROOT / "colab" / f"{name}.ipynb", as_version=4)
        cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
        assert "small = False" in cells["settings"].source
        settings = cells["settings"].source.replace("small = False", "small = True")
        cells["settings"].source = settings
        probe = f"import json, sys, vae_jax\nprint(json.dumps({expression}, default=float))"
        notebook.cells.append(nbformat.v4.new_code_cell(probe))
        nbclient.NotebookClient(
            notebook,
            kernel_name="this-python",
            timeout=600,
            coalesce_streams=True,
            resources={"metadata": {"path": os.fspath(work)}},
        ).execute()  # CellExecutionError from any cell
        found = {cell for cell, content in cells.items() if has_figure(content)}
        assert found - {"interactive"} == FIGURES[name]  # sliders, if ipywidgets is there
        return cells, json.loads(text(notebook.cells[-1]))

    return execute


def has_figure(cell):
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def text(cell):
    return "".join(
        output.text
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


def test_the_tour(run):
    cells, got = run(
        "vae_in_jax",
        """{
            "executable": sys.executable,
            "package": vae_jax.__file__,
            "step": int(state.step),
            "losses": [-bound for bound in curves["elbo"].tolist()],
            "valid": [float(bound) for bound in valid_elbo],
            "test": numbers,
            "betas": results,
            "collapse": {name: one.rate.mean() for name, one in gray_terms.items()},
            "iwae": metrics["iwae"],
        }""",
    )
    assert got["executable"] == sys.executable
    assert pathlib.Path(got["package"]).is_relative_to(ROOT)

    assert got["step"] == 60 == len(got["losses"])
    by_step = [float(loss) for loss in re.findall(r"loss (\S+)", text(cells["step"]))]
    assert len(by_step) == 3
    # The plain loop and the compiled one agree.
    assert by_step == pytest.approx(got["losses"][:3], abs=1e-3)

    # Of E[z^2]: 2 mu = 2 both ways, and 2 sigma = 1 is the deviation through the draw.
    pattern = r"(\w+) +mean ([\d.]+), standard deviation ([\d.]+)"
    [through, score] = re.findall(pattern, text(cells["reparameterize"]))
    assert [float(number) for number in through[1:]] == pytest.approx([2, 1], abs=0.05)
    assert float(score[1]) == pytest.approx(2, abs=0.15)
    assert float(score[2]) > 4

    test = got["test"]
    assert len(got["valid"]) == 2
    # The model has learned, and the tighter bound is tighter.
    assert -math.log(2) * 64 < test["elbo"] < got["iwae"] < 0
    assert test["elbo"] == pytest.approx(-test["distortion"] - test["rate"], abs=1e-3)
    one, four = got["betas"]
    # Under vmap, the run with beta = 1 is the run above.
    assert one["elbo"] == pytest.approx(test["elbo"], abs=0.05)
    assert four["rate"] < one["rate"]
    assert four["distortion"] > one["distortion"]
    rates = got["collapse"]
    assert all(rates[name] > 1.5 * rates["σ = 1"] for name in ("free bits", "β = 0.02"))


def test_latents(run, tmp_path):
    cells, got = run(
        "explore_latents",
        """{
            "kl": kl.tolist(),
            "rate": numbers["rate"],
            "threshold": limit,
            "auroc": anomaly.auroc(scores["normal"], scores["flipped pixels"]).value,
            "scores": columns[0],
        }""",
    )
    assert (tmp_path / "work" / "runs" / "explore_small" / "results.json").is_file()
    assert sum(got["kl"]) == pytest.approx(got["rate"], rel=1e-3)
    assert got["auroc"] > 0.6
    assert set(got["scores"]) == {"MIG", "FactorVAE", "SAP", "DCI disentanglement"}
    assert all(0 <= value <= 1 for value in got["scores"].values())
    assert f"threshold {got['threshold']:.1f} nats" in text(cells["anomaly"])


def test_own_objective(run, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", EIGHT_DEVICES)
    cells, got = run(
        "your_own_objective",
        """{
            "devices": len(devices),
            "losses": {name: losses for name, (losses, _) in runs.items()},
            "kl": outputs.kl,
        }""",
    )
    assert got["devices"] == 8
    assert got["kl"] is None  # the rate is a Monte Carlo estimate
    one, several, mapped = got["losses"].values()
    assert one == pytest.approx(several, rel=1e-4)
    assert mapped != pytest.approx(one, rel=1e-4)  # other noise on each device
    assert one[-1] < one[0]
    assert "8 device(s)" in text(cells["devices"])


def test_scaling(run, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", EIGHT_DEVICES)
    cells, got = run(
        "scaling_on_tpu",
        """{
            "rows": [[*name, *numbers] for name, numbers in rows.items()],
            "sweep": losses.tolist(),
            "alone": loss,
            "points": points,
        }""",
    )
    [_, large, split] = got["rows"]
    assert large[:2] == ["one device", 256]
    assert split[:2] == ["8 devices", 256]
    assert large[3] == pytest.approx(split[3], rel=1e-4)  # the same steps on 8 devices
    assert min(row[2] for row in got["rows"]) > 0
    assert len(got["sweep"]) == len(got["points"]) == 8
    assert got["sweep"][0] == pytest.approx(got["alone"], rel=1e-4)
    assert "8 trials of 40 steps on 8 device(s)" in text(cells["sweep"])
    assert "images/s" in text(cells["sweep"])


def test_tables(run):
    cells, got = run(
        "tables",
        """{
            "rows": len(frame),
            "odd": answer["score"].idxmax() == odd and answer["top_column"][odd],
            "scores": len(pd.read_csv(folder / "scores.csv")),
            "filled": int(filled.isna().sum().sum()),
            "kept": all(
                filled.iloc[row, column] == frame[names].iloc[row, column]
                for row, column in np.argwhere(~empty).tolist()
            ),
            "errors": {name: values[1:] for name, values in errors.items()},
            "draws": several.shape,
        }""",
    )
    assert got["rows"] == got["scores"] == 344
    assert got["odd"] == "body_mass_g"  # the wrong unit is found, and its column
    assert got["filled"] == 0
    assert got["kept"]
    assert set(got["errors"]) >= {"bill_length_mm", "sex", "island"}
    assert got["draws"] == [344, 20, 8]
    assert "gaussian" in text(cells["train"])


def test_molecules(run):
    pytest.importorskip("rdkit")
    pytest.importorskip("selfies")
    cells, got = run("molecules", '{"vae": vae, "control": control, "samples": len(samples)}')
    vae, control = got["vae"], got["control"]
    assert got["samples"] == 40
    assert vae["step"] == control["step"] == 20
    assert vae["test"]["rate"] > 0
    assert control["test"]["rate"] == 0
    draws = vae["metrics"]["molecules"]["sets"]["draws"]
    # All SELFIES that end and are not empty: 0.81 of 1,000 samples at this length of training.
    assert draws["validity"] > 0.5
    assert f"{draws['validity']:.3f}" in text(cells["numbers"])
    assert set(vae["metrics"]["search"]["searches"]) >= {"ascent", "bayesian", "prior"}
