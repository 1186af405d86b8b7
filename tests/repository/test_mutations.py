"""The list of stated mutations is up to date; `tests/mutations/run.py` applies them."""

import ast
import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = ("distributions", "flows", "objectives", "evaluation", "experiment/builders")


@pytest.fixture(scope="module")
def run():
    """The script as a module."""
    folder = ROOT / "tests" / "mutations"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("run", folder / "run.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))


def test_every_mutation_is_found_once_and_is_python(run) -> None:
    names = [mutation.name for mutation in run.MUTATIONS]
    assert len(names) == len(set(names)) >= 40
    for mutation in run.MUTATIONS:
        path, text = run.mutate(ROOT, mutation)
        assert text != path.read_text(encoding="utf-8")
        ast.parse(text)
    for folder in FOLDERS:
        assert sum(mutation.file.startswith(folder) for mutation in run.MUTATIONS) >= 5


def test_every_selection_names_a_file_of_tests(run) -> None:
    for mutation in run.MUTATIONS:
        path, *options = run.selection(mutation)
        assert (ROOT / path).is_file(), mutation.name
        assert options[:1] in ([], ["-k"]), mutation.name


def test_a_text_that_is_gone_or_ambiguous_is_an_error(run) -> None:
    mutation = run.MUTATIONS[0]
    for old, count in (("this text is nowhere", 0), ("import", None)):
        with pytest.raises(SystemExit, match=r"update tests/mutations/table\.py") as error:
            run.mutate(ROOT, mutation._replace(old=old))
        assert count is None or f"{count} times" in str(error.value)
