"""The house: who may import whom, and how large a file may grow."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parents[2] / "vae_jax"
ORDER = [  # a module stands on the first of these that it is in; those below it come first
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
    "visualize",
    "config",
    "experiment.processes",
    "experiment.storage.event_file",
    "experiment.storage.metric_writer",
    "experiment.storage.environment",
    "experiment.storage.lock",
    "experiment.storage.workdir",
    "experiment.builders",
    "experiment.storage.checkpoint",
    "experiment.load",
    "experiment.metrics",
    "experiment.validation",
    "experiment.run",
    "experiment.evaluator",
    "experiment.results",
    "experiment.evaluate",
    "experiment.report",
    "experiment.training.recorder",
    "experiment.training.trainers",
    "experiment.training.interruption",
    "experiment.training.loop",
    "experiment.cli",
    "main",
]


def floor(module):
    found = [
        number
        for number, name in enumerate(ORDER)
        if module == name or module.startswith(name + ".")
    ]
    return found[0] if found else None


def imports(path):
    """The modules, below the package, that a file imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vae_jax":
            parent = node.module.partition(".")[2]
            for alias in node.names:
                child = f"{parent}.{alias.name}".strip(".")
                yield child if floor(child) is not None else parent


def test_imports_go_downwards():
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if floor(module) is None:
            continue
        for imported in imports(path):
            assert floor(imported) <= floor(module), f"{path} imports {imported}"


def test_files_stay_small():
    lengths = {str(path): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert max(lengths.values()) <= 300, lengths


def test_the_core_imports_little():
    text = (PACKAGE / "train.py").read_text()
    tops = {
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {top.split(".")[0] for top in tops} == {
        "functools",
        "collections",
        "typing",
        "jax",
        "optax",
        "flax",
        "vae_jax",
    }
