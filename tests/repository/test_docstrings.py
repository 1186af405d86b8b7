"""Docstrings of public functions of the library state errors, and the shapes of arrays."""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "vae_jax"
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("config", "experiment")
]
ERRORS = ("InputError", "UnsupportedError", "ValueError", "TypeError")
ARRAY = re.compile(r"\b(Array|ndarray)\b")
AXIS = r"`?(\.\.\.|\*?(\d+ )?[A-Za-z][\w']*( or \d)?|\d+)`?( ?[-+*/^] ?[\w']+)*"
SHAPES = re.compile(
    rf"(?<![\w)])\[({AXIS}(, )?)*\]"  # [N, *E], [..., 2 F], []
    r"|\b([Ss]calars?|[Ee]lementwise|[Ss]hapes?)\b"
)


def public(body):
    """Functions, and methods with a docstring; the others have that of their protocol."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from (entry for entry in public(node.body) if ast.get_docstring(entry))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def functions():
    return [(path, entry) for path in MODULES for entry in public(ast.parse(path.read_text()).body)]


def raised(function):
    """The errors that leave the function: not those that it catches itself."""
    tries = (node for node in ast.walk(function) if isinstance(node, ast.Try) and node.handlers)
    caught = {id(node) for entry in tries for part in entry.body for node in ast.walk(part)}
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None and id(node) not in caught:
            yield from (name for name in ERRORS if ast.unparse(node.exc).startswith(name))


def has_array(function):
    """True if an argument other than a random key, or the result, is annotated as an array."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [entry.annotation for entry in arguments if entry.arg != "key"]
    return any(
        ARRAY.search(ast.unparse(annotation))
        for annotation in (*annotations, function.returns)
        if annotation is not None
    )


def states_shape(text):
    """True if a text names axes, or a shape in words; intervals of numbers are no axes."""
    return any(
        not re.fullmatch(r"\[\d+(, \d+)*\]", match.group()) for match in SHAPES.finditer(text)
    )


def test_errors_are_documented():
    raising = [(path, entry, name) for path, entry in functions() for name in {*raised(entry)}]
    assert len(raising) > 100
    assert not [
        f"{path.relative_to(PACKAGE)}: {entry.name}: {name}"
        for path, entry, name in raising
        if name not in (ast.get_docstring(entry) or "")
    ]


def test_shapes_of_arrays_are_documented():
    arrays = [(path, entry) for path, entry in functions() if has_array(entry)]
    assert len(arrays) > 400
    assert not [
        f"{path.relative_to(PACKAGE)}: {entry.name}"
        for path, entry in arrays
        if not states_shape(ast.get_docstring(entry) or "")
    ]


def test_shapes_of_fields_are_documented():
    """By a comment on the line of the field, or before it, or by the docstring of the class."""
    count, missing = 0, []
    for path in MODULES:
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            for field in node.body:
                if not isinstance(field, ast.AnnAssign):
                    continue
                annotation = ast.unparse(field.annotation)
                if not ARRAY.search(annotation) or "Callable" in annotation:
                    continue
                count += 1
                comment = lines[field.end_lineno - 1].partition("#")[2]
                start = field.lineno - 2
                while lines[start].strip().startswith("#"):
                    comment, start = lines[start] + comment, start - 1
                if not states_shape(f"{comment} {ast.get_docstring(node) or ''}"):
                    missing.append(f"{path.relative_to(PACKAGE)}: {node.name}.{field.target.id}")
    assert count > 150
    assert not missing


@pytest.mark.parametrize(
    "text",
    [
        "Terms [K, B].",
        "The loss [].",
        "``[*batch, *event]``",
        "[..., 2 F] -> [..., F]",
        "x [N, *E]",
        "Images [N, H, W, 3].",
        "Labels [M * side].",
        "[side^2, C]",
        "[N or 1, 3 F]",
        "[N, heads, F / heads]",
        "dimensions [D'].",
        "Elementwise.",
        "Of the shape of x.",
        "A scalar.",
    ],
)
def test_a_shape_is_found(text):
    assert states_shape(text)


@pytest.mark.parametrize(
    "text",
    [
        "In [0, 1].",
        "E[x] and Cov[z]",
        "sg[z_e]",
        "Values in [0, 255].",
        "mean [1 - (x)]",
        "Shaped.",
    ],
)
def test_no_shape_is_found(text):
    assert not states_shape(text)
