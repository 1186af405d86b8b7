"""README, CONTRIBUTING and docs: examples run as they are written, files and links exist."""

import pathlib
import re
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax
from vae_jax.config import describe_fields

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *PAGES]
RECIPES = sorted((DOCS / "recipes").glob("*.md"))
OWN_PARTS = {"own_network", "own_prior", "own_likelihood"}  # stored by the path of their import


def blocks(path, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def test_the_snippet_for_importers_runs():
    [source] = blocks(ROOT / "README.md")
    assert blocks(DOCS / "python.md")[0] == source
    x = jax.random.bernoulli(jax.random.key(0), 0.2, (96, 28, 28, 1)).astype(jnp.float32)
    batches = [{"x": x[i : i + 32]} for i in range(0, 96, 32)] * 4
    names = {"x": x, "my_batches": batches, "my_penalty": lambda z: 0.1 * jnp.square(z).mean()}
    exec(source, names)
    assert int(names["state"].step) == 12
    assert np.isfinite(names["metrics"]["elbo"])
    assert names["metrics"]["elbo"] > -784 * np.log(2)  # better than a fair coin for each pixel


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs(path, tmp_path, monkeypatch):
    """As an importable module; its parts go through a folder and come back."""
    [source] = [block for block in blocks(path) if "runs/" not in block]
    assert len(source.splitlines()) <= 30
    module = types.ModuleType(path.stem)
    monkeypatch.setitem(sys.modules, path.stem, module)
    monkeypatch.chdir(tmp_path)
    exec(source, module.__dict__)
    assert np.isfinite(module.metrics["elbo"]).all()
    if path.stem in OWN_PARTS:
        vae_jax.save(module.model, "saved", module.params)
        loaded = vae_jax.load("saved")
        assert loaded.model == module.model
        jax.tree.map(np.testing.assert_array_equal, loaded.params, module.params)
    elif path.stem == "load_and_resume":
        assert module.images.shape == (16, 8, 8, 1)


def test_there_are_recipes():
    assert OWN_PARTS | {"own_data", "own_objective", "load_and_resume"} <= {
        path.stem for path in RECIPES
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_it_names_is_there(path):
    text = path.read_text()
    names = set(re.findall(r"`([\w/]+\.(?:py|ipynb|md|txt))(?::\w+)?`", text))
    folders = [ROOT, ROOT / "vae_jax", ROOT / "configs"]
    assert not [name for name in names if not any((base / name).exists() for base in folders)]
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    local = [link for link in links if not re.match(r"https?:", link)]
    assert not [link for link in local if not (path.parent / link).exists()]


def test_documents_name_files():
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert len(set(re.findall(r"`[\w/]+\.py`", text))) > 30


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_field_it_names_is_there(path):
    fields = {f"config.{entry.path}" for entry in describe_fields()}
    groups = {field.rpartition(".")[0] for field in fields}
    named = set(re.findall(r"`(?:--)?(config\.[a-z_.]+[a-z])[=`]", path.read_text()))
    assert not named - fields - groups - {"config.json"}


def test_the_readme_is_short():
    words = [word for word in (ROOT / "README.md").read_text().split() if re.search(r"\w", word)]
    assert 600 <= len(words) <= 900


def test_every_config_is_in_the_table_of_models():
    table = (DOCS / "reference" / "models.md").read_text()
    names = [path.name for path in (ROOT / "configs").glob("*.py")]
    assert not [name for name in names if f"`{name}" not in table]
