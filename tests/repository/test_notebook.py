"""The stored notebooks are fit to be read, and their first cell finds the package."""

import importlib.util
import json
import pathlib
import re
import shutil
import sys
import types

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = pathlib.Path(__file__).parents[2]
COLAB = ROOT / "colab"
PATHS = sorted(COLAB.glob("*.ipynb"))
RENDERED = ROOT / "docs" / "notebooks" / "vae_in_jax.ipynb"  # the one copy with outputs
ABSOLUTE = r"site-packages|(?<![\w.:/])/(home|root|tmp|Users|usr|work|content|mnt|opt)\b|[A-Z]:\\\\"
PUBLISHED = "https://github.com/someone/models"


def load_manage():
    spec = importlib.util.spec_from_file_location("manage_notebooks", COLAB / "manage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


manage = load_manage()


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def test_all_notebooks_are_there():
    assert [path.stem for path in PATHS] == [
        "explore_latents",
        "molecules",
        "scaling_on_tpu",
        "tables",
        "vae_in_jax",
        "your_own_objective",
    ]


def test_a_notebook_is_stored_without_outputs(path, notebook):
    nbformat.validate(notebook)
    stored = manage.read(path)
    assert stored == manage.strip(manage.read(path))
    assert not any(cell.outputs or cell.execution_count for cell in code_cells(notebook).values())
    assert not re.search(ABSOLUTE, path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 50_000


def test_small_settings_are_one_variable_at_the_top(notebook):
    [settings] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    assert settings.source.startswith("small = False  # True: ")
    assert settings is list(code_cells(notebook).values())[1]  # right after the installation
    numbers = {}
    exec(settings.source, numbers)
    assert numbers["num_steps" if "num_steps" in numbers else "sweep_steps"] >= 1_000


def test_badge_and_first_cell_name_the_same_address(path, notebook):
    title, install = notebook.cells[:2]
    [address] = manage.ADDRESS_LINE.findall(install.source)
    assert title.source.splitlines()[0] == manage.badge(path.stem, address)


def test_the_first_cell_is_the_same_in_all_notebooks(notebook):
    def general(cell):
        return re.sub(r"(EXTRA|MODULES) = .*", r"\1", cell.source)

    reference = nbformat.read(COLAB / "vae_in_jax.ipynb", as_version=4)
    assert general(notebook.cells[1]) == general(reference.cells[1])
    assert notebook.cells[1].id == "install"


def test_no_cell_installs_a_jax(notebook):
    for cell in code_cells(notebook).values():
        for line in re.findall(r".*\b(?:pip|conda|apt|apt-get|uv)\b.*install.*", cell.source):
            assert line.strip() == '%pip install -q "{SOURCE}"'
        assert not re.search(r"jax(lib)?(\[\w+\])?\s*[=<>~]=|cuda|nvidia|libtpu", cell.source)


@pytest.fixture
def install(path, notebook, monkeypatch, tmp_path):
    """Run the first cell in an empty folder, without the package; returns what pip is given."""
    find_spec = importlib.util.find_spec
    folder = types.SimpleNamespace(origin=None)  # a folder named vae_jax is no package

    def without_package(name, *args):
        return folder if name == "vae_jax" else find_spec(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", without_package)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(address=""):
        cell = notebook.cells[1].source.replace('ADDRESS = ""', f'ADDRESS = "{address}"')
        calls = []
        shell = types.SimpleNamespace(run_line_magic=lambda *args: calls.append(args))
        names = {"get_ipython": lambda: shell}
        exec(TransformerManager().transform_cell(cell), names)
        assert calls == [("pip", 'install -q "{SOURCE}"')]  # IPython fills the braces in
        assert names["SOURCE"].count(names["EXTRA"])
        return names["SOURCE"].replace(names["EXTRA"] or "[]", "")

    return run


def make_repository(folder):
    (folder / "vae_jax").mkdir(parents=True)
    (folder / "vae_jax" / "train.py").touch()
    (folder / "setup.py").touch()


def test_it_finds_the_repository_around_it(install, tmp_path):
    make_repository(tmp_path)
    assert install() == str(tmp_path)


@pytest.mark.parametrize("name", ["vae_jax", "vae_jax-main"])
def test_it_finds_a_clone_beside_it(install, tmp_path, name):
    make_repository(tmp_path / "work" / name)
    assert install() == str(tmp_path / "work" / name)


@pytest.mark.parametrize("name", ["vae_jax-0.1.0-py3-none-any.whl", "vae_jax-main.zip"])
def test_it_finds_an_archive(install, tmp_path, name):
    (tmp_path / "work" / name).touch()
    assert install(PUBLISHED) == str(tmp_path / "work" / name)


def test_it_clones_the_published_repository(install):
    assert install(PUBLISHED) == f"vae_jax @ git+{PUBLISHED}"


def test_it_asks_for_an_upload_in_colab(install, tmp_path, monkeypatch):
    files = types.SimpleNamespace(upload=lambda: (tmp_path / "work" / "vae_jax-main.zip").touch())
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(files=files))
    assert install() == str(tmp_path / "work" / "vae_jax-main.zip")


def test_it_says_what_to_do_if_there_is_no_copy(install):
    with pytest.raises(RuntimeError, match=r"vae_jax is not installed: put its repository"):
        install()


def test_one_command_writes_the_address(path, monkeypatch, tmp_path):
    shutil.copy(path, tmp_path)
    monkeypatch.setattr(manage, "FOLDER", tmp_path)
    manage.main(["address", PUBLISHED])
    result = nbformat.read(tmp_path / path.name, as_version=4)
    nbformat.validate(result)
    link = f"https://colab.research.google.com/github/someone/models/blob/main/colab/{path.name}"
    assert result.cells[0].source.splitlines()[0].endswith(f"({link})")
    assert f'ADDRESS = "{PUBLISHED}"' in result.cells[1].source
    with pytest.raises(SystemExit, match=r"must be https://github\.com/OWNER/NAME"):
        manage.main(["address", "vae_jax"])


def test_the_rendered_copy_is_fit_to_be_read():
    rendered = nbformat.read(RENDERED, as_version=4)
    nbformat.validate(rendered)
    assert RENDERED.stat().st_size < 1_000_000
    source = nbformat.read(COLAB / RENDERED.name, as_version=4)
    assert [cell.source for cell in rendered.cells] == [cell.source for cell in source.cells]
    cells = code_cells(rendered)
    counts = [cell.execution_count for cell in cells.values()]
    assert counts == list(range(1, len(cells) + 1))  # one run, in order
    outputs = [output for cell in cells.values() for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 9
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    texts = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in outputs]
    assert not re.search(ABSOLUTE + "|Warning", json.dumps(texts))
    assert not any(o.get("data", {}).get("text/plain", "").startswith("<function") for o in outputs)


def test_the_page_of_notebooks_has_a_line_for_each(path):
    text = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert f"(../colab/{path.name})" in text
