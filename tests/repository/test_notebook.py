"""The notebooks run, and what is stored of them is fit to be read."""

import ast
import base64
import importlib.util
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
from IPython.core.inputtransformer2 import TransformerManager

ROOT = pathlib.Path(__file__).parents[2]
TOUR, MOLECULES = "vae_in_jax", "molecules"
FIGURES = {  # cells with a figure
    TOUR: {
        "data",
        "curve",
        "reconstruct",
        "sample",
        "interpolate",
        "beta-plane",
        "beta-samples",
    },
    MOLECULES: {
        "data",
        "reconstruct",
        "sample",
        "properties",
        "neighbors",
        "interpolate",
        "search",
    },
}
SMALL = {
    "num_steps": 60,
    "steps_per_call": 30,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "latent_dim": 3,
    "hidden": (16,),
    "betas": (1.0, 4.0),
    "seed": 1,
}
SMALL_MOLECULES = {
    "alphabet": "selfies",
    "num_steps": 20,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "latent_dim": 3,
    "encoder_width": 8,
    "decoder_width": 8,
    "beta": 0.05,
    "num_samples": 40,
    "search_budget": 5,
    "seed": 1,
}
PROBE = """
import json, sys, vae_jax
print(json.dumps({
    "executable": sys.executable,
    "package": vae_jax.__file__,
    "step": int(state.step),
    "losses": [-bound for bound in train_elbo],
    "valid": [float(bound) for bound in valid_elbo],
    "test": numbers,
    "betas": results,
    "iwae": float(metrics["iwae"]),
}))
"""
MOLECULES_PROBE = """
import json
print(json.dumps({"vae": vae, "control": control, "samples": len(samples)}, default=float))
"""


def path_of(name):
    return ROOT / "colab" / f"{name}.ipynb"


@pytest.fixture(params=[TOUR, MOLECULES])
def name(request):
    return request.param


@pytest.fixture
def notebook(name):
    return nbformat.read(path_of(name), as_version=4)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel in this interpreter that can import the repository, without an IPython profile."""
    write_kernel_spec(tmp_path / "kernels" / "this-python")
    monkeypatch.setenv("JUPYTER_PATH", os.fspath(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compilation dominates
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [os.fspath(ROOT), os.environ.get("PYTHONPATH")]))
    )
    return "this-python"


def code_cells(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def text(cell):
    return "".join(
        output.text
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


def figures(cell):
    images = [
        output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    return [base64.b64decode(image) for image in images]


def shrink(cells, small):
    (settings,) = (cell for cell in cells.values() if "parameters" in cell.metadata.get("tags", ()))
    names = [target.id for line in ast.parse(settings.source).body for target in line.targets]
    assert names == list(small)  # every setting there is replaced, and no other
    settings.source = "\n".join(f"{name} = {value!r}" for name, value in small.items())


def execute(name, small, probe, kernel, directory):
    """Run a notebook with small settings; its cells, and what the probe prints at its end."""
    notebook = nbformat.read(path_of(name), as_version=4)
    cells = code_cells(notebook)
    shrink(cells, small)
    notebook.cells.append(nbformat.v4.new_code_cell(probe))
    nbclient.NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=300,
        coalesce_streams=True,
        resources={"metadata": {"path": os.fspath(directory)}},
    ).execute()  # CellExecutionError from any cell
    assert {cell for cell, content in cells.items() if figures(content)} == FIGURES[name]
    return cells, json.loads(text(notebook.cells[-1]))


@pytest.mark.slow
def test_the_tour_runs(kernel, tmp_path):
    cells, got = execute(TOUR, SMALL, PROBE, kernel, tmp_path)
    assert got["executable"] == sys.executable
    assert pathlib.Path(got["package"]).is_relative_to(ROOT)

    assert got["step"] == SMALL["num_steps"] == len(got["losses"])
    by_step = [float(loss) for loss in re.findall(r"loss (\S+)", text(cells["step"]))]
    assert len(by_step) == 3
    # The plain loop and the compiled one agree.
    assert by_step == pytest.approx(got["losses"][:3], abs=1e-3)

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


@pytest.mark.slow
def test_the_notebook_of_molecules_runs(kernel, tmp_path):
    pytest.importorskip("rdkit")
    pytest.importorskip("selfies")
    cells, got = execute(MOLECULES, SMALL_MOLECULES, MOLECULES_PROBE, kernel, tmp_path)
    vae, control = got["vae"], got["control"]
    assert got["samples"] == SMALL_MOLECULES["num_samples"]
    assert vae["step"] == control["step"] == SMALL_MOLECULES["num_steps"]
    assert vae["test"]["rate"] > 0
    assert control["test"]["rate"] == 0
    draws = vae["metrics"]["molecules"]["sets"]["draws"]
    # All SELFIES that end and are not empty: 0.81 of 1,000 samples at this length of training.
    assert draws["validity"] > 0.5
    assert f"{draws['validity']:.3f}" in text(cells["numbers"])
    assert set(vae["metrics"]["search"]["searches"]) >= {"ascent", "bayesian", "prior"}


def test_the_stored_notebook_is_fit_to_be_read(notebook, name):
    nbformat.validate(notebook)
    assert path_of(name).stat().st_size < 800_000
    assert notebook.metadata.kernelspec.name == "python3"
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells.values()]
    assert counts == list(range(1, len(cells) + 1))  # one run, in order
    outputs = [output for cell in cells.values() for output in cell.outputs]
    assert not [
        output
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert {cell for cell, content in cells.items() if figures(content)} == FIGURES[name]
    words = "\n".join(
        json.dumps(output.get("data", {}).get("text/plain", output.get("text", "")))
        for output in outputs
    )
    assert not re.search(
        r"site-packages|(?<!\w)/(home|root|tmp|Users|usr|work|content)\b|Warning", words
    )


def test_no_cell_installs_a_jax(notebook):
    for cell in code_cells(notebook).values():
        for line in re.findall(r".*\b(?:pip|conda|apt|apt-get|uv)\b.*install.*", cell.source):
            assert line.strip() == '%pip install -q "{SOURCE}"'
        assert not re.search(r"jax(lib)?(\[\w+\])?\s*[=<>~]=|cuda|nvidia|libtpu", cell.source)


@pytest.mark.parametrize("source", ["", "path of a copy"])
def test_the_install_cell_where_the_package_is_missing(notebook, monkeypatch, source):
    cell = code_cells(notebook)["install"].source
    assert 'SOURCE = ""' in cell
    program = TransformerManager().transform_cell(
        cell.replace('SOURCE = ""', f"SOURCE = {source!r}")
    )
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: None if name == "vae_jax" else find_spec(name, *args),
    )
    calls = []

    class Shell:
        def run_line_magic(self, *args):
            calls.append(args)

    if source:
        exec(program, {"get_ipython": Shell})
        assert calls == [("pip", 'install -q "{SOURCE}"')]  # IPython fills the braces in
    else:
        with pytest.raises(RuntimeError, match=r"vae_jax is not installed: set SOURCE"):
            exec(program, {"get_ipython": Shell})
        assert not calls
