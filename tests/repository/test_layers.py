"""Layers: which module may import which, and how large files and folders may grow."""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "vae_jax"
LAYERS = [  # from the bottom up; a module belongs to the most specific layer that contains it
    "types",
    "errors",
    "files",
    "distributions",
    "schedules",
    "corruptions",
    "interpolation",
    "nets",
    "flows",
    "posteriors",
    "priors",
    "likelihoods",
    "models",
    "objectives",
    "train",
    "parallel",
    "memory",
    "data",
    "evaluation",
    "models.examples",
    "models.blocks",
    "models.rows",
    "models.row_methods",
    "models.trained",
    "models.module_spec",
    "models.saving",
    "models.exporting",
    "visualize",
    "config",
    "experiment.launch.devices",
    "experiment.jax_settings",
    "experiment.launch.clusters",
    "experiment.peers",
    "experiment.processes",
    "experiment.launch.compilation_cache",
    "experiment.storage.event_file",
    "experiment.storage.tracker",
    "experiment.storage.metric_writer",
    "experiment.storage.environment",
    "experiment.storage.session",
    "experiment.storage.lock",
    "experiment.storage.workdir",
    "experiment.builders",
    "experiment.storage.staging",
    "experiment.storage.damage",
    "experiment.storage.description",
    "experiment.storage.checkpoint",
    "experiment.selection",
    "experiment.load",
    "experiment.metrics",
    "experiment.validation",
    "experiment.run",
    "experiment.overrides",
    "experiment.measurement.left_out",
    "experiment.results",
    "experiment.measurement",
    "experiment.rows",
    "experiment.figures",
    "experiment.sweeps.settings",
    "experiment.sweeps.results",
    "experiment.evaluate",
    "experiment.sweeps.shares",
    "experiment.report",
    "experiment.training.recorder",
    "experiment.training.trainers",
    "experiment.training.compilation",
    "experiment.training.interruption",
    "experiment.training.loop",
    "experiment.launch",
    "experiment.hand_made",
    "experiment.fit",
    "experiment.cli",
    "main",
]
ENTRANCES = ("load", "fit")  # functions of the package that need the experiment
LIBRARY = LAYERS[: LAYERS.index("config")]


def module_name(path):
    """The dotted name below the package, ROOT for vae_jax/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


ROOT = ""
MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer(module):
    """The index in LAYERS, or None for a module in no layer."""
    matches = [i for i, name in enumerate(LAYERS) if f"{module}.".startswith(f"{name}.")]
    return max(matches, key=lambda i: len(LAYERS[i]), default=None)


def imported_modules(nodes):
    """The modules of the package that import statements load, at any depth of nesting."""
    for node in ast.walk(ast.Module(body=nodes)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            children = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                child if child.partition(".")[2] in MODULES else node.module for child in children
            ]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "vae_jax":
                yield name.partition(".")[2]


def imports(module):
    """Imports of a module, inside functions too, except for those of `ENTRANCES`."""
    nodes = ast.parse(MODULES[module].read_text()).body
    if module == ROOT:
        nodes = [n for n in nodes if not (isinstance(n, ast.FunctionDef) and n.name in ENTRANCES)]
    return set(imported_modules(nodes))


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import vae_jax.train", {"train"}),
        ("import vae_jax", {ROOT}),
        ("from vae_jax import train, VAE", {"train", ROOT}),
        ("from vae_jax.config import fields, Config", {"config.fields", "config"}),
        ("def f():\n  if g():\n    from vae_jax.errors import InputError", {"errors"}),
        ("import jax\nfrom jax import numpy", set()),
    ],
)
def test_the_reader_of_imports(source, modules):
    assert set(imported_modules(ast.parse(source).body)) == modules


def test_every_module_has_a_layer():
    without = [module for module in MODULES if layer(module) is None and imports(module)]
    assert without == [ROOT]


def test_imports_go_downwards():
    upwards = [
        f"{module} imports {imported or 'vae_jax'}"
        for module in MODULES
        if layer(module) is not None
        for imported in imports(module)
        if layer(imported) is None or layer(imported) > layer(module)
    ]
    assert not upwards


def test_the_library_knows_neither_config_nor_experiment():
    for module in MODULES:
        if module == ROOT or layer(module) in range(len(LIBRARY)):
            tops = {name.split(".")[0] for name in imports(module)}
            assert not tops & {"config", "experiment", "main"}, module


def test_no_circles():
    graph = {module: imports(module) for module in MODULES}
    while leaves := [module for module, imported in graph.items() if not imported]:
        graph = {m: imported - set(leaves) for m, imported in graph.items() if m not in leaves}
    assert not graph


def test_the_package_is_small():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: length for name, length in lengths.items() if length > 300}
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    folders = [path for path in entries if path.is_dir()]
    assert len(folders) <= 13
    assert len(entries) - len(folders) <= 12


def test_the_train_step_imports_little():
    tree = ast.parse(MODULES["train"].read_text())
    tops = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops.add(node.module.split(".")[0])
    assert tops == {"functools", "collections", "typing", "jax", "optax", "flax", "vae_jax"}


def private_names(source):
    """Names of other packages that begin with an underscore, in imports and `_src` anywhere."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [f"?.{node.attr}"] if node.attr == "_src" else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if "_src" in node.value.split(".") else []  # import_module
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "vae_jax" and any(re.match("_(?!_)", part) for part in parts):
                yield name


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import jax._src.distributed", ["jax._src.distributed"]),
        ("def f():\n  from jax._src import core", ["jax._src.core"]),
        ("from optax import _src as private", ["optax._src"]),
        ("from flax.core import _private", ["flax.core._private"]),
        ("import orbax.checkpoint as ocp\nocp._src.metadata", ["?._src"]),
        ("importlib.import_module('jax._src.core')", ["jax._src.core"]),
        ("from __future__ import annotations", []),
        ("import jax\nself._source = jax.__version__", []),
        ("from vae_jax.nets import _blocks", []),
    ],
)
def test_the_reader_of_private_names(source, names):
    assert list(private_names(source)) == names


def test_other_packages_are_used_by_their_public_names():
    uses = {name: list(private_names(path.read_text())) for name, path in MODULES.items()}
    assert not {name: names for name, names in uses.items() if names}
