"""Docstrings of public functions of the library name the errors that the function raises."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parents[2] / "vae_jax"
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("config", "experiment")
]
ERRORS = ("InputError", "UnsupportedError")


def public(body):
    """Functions, and methods with a docstring; the others have that of their protocol."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from (entry for entry in public(node.body) if ast.get_docstring(entry))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def raised(function):
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield from (name for name in ERRORS if ast.unparse(node.exc).startswith(name))


def test_errors_are_documented():
    functions = [
        (path, entry) for path in MODULES for entry in public(ast.parse(path.read_text()).body)
    ]
    raising = [(path, entry, name) for path, entry in functions for name in {*raised(entry)}]
    assert len(raising) > 60
    assert not [
        f"{path.relative_to(PACKAGE)}: {entry.name}: {name}"
        for path, entry, name in raising
        if name not in (ast.get_docstring(entry) or "")
    ]
