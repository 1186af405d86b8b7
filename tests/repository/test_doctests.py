"""Examples in docstrings run as they are written."""

import doctest
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATHS = [path for path in sorted((ROOT / "vae_jax").rglob("*.py")) if ">>> " in path.read_text()]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples(path, tmp_path, monkeypatch):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # for examples that write
    result = doctest.testmod(module, optionflags=OPTIONS)
    assert result.attempted
    assert not result.failed
