"""Flax modules as JSON: the import path of each class and its fields, without pickle.

Classes and functions must be importable by name where the module is rebuilt. A `lambda`, or what a
function has defined inside, has no such name.
"""

import dataclasses
import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.errors import InputError, format_value

PUBLIC = ("jax.nn", "jax.numpy", "flax.linen", "jax.nn.initializers")  # homes of functions
REMEDY = (
    "give it a name in a module that can be imported, or save with_module=False and pass the "
    "module to load(folder, model=...)"
)


def to_json(value: Any, where: str = "model") -> Any:
    """The JSON of a module, or of a value of one of its fields.

    Args:
      value: a module, number, string, function, dtype, small array, or a container of those.
      where: the field, for messages.

    Raises:
      InputError: something without a name by which it can be imported.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list):
        return [to_json(entry, f"{where}[{i}]") for i, entry in enumerate(value)]
    if isinstance(value, tuple):
        entries = [to_json(entry, f"{where}[{i}]") for i, entry in enumerate(value)]
        if type(value) is tuple:
            return {"tuple": entries}
        return {"named_tuple": _path(type(value), where), "entries": entries}
    if isinstance(value, dict | nn.FrozenDict):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"{where}: the keys of a dict must be strings")
        return {"dict": {key: to_json(entry, f"{where}.{key}") for key, entry in value.items()}}
    if isinstance(value, functools.partial):
        parts = (value.func, tuple(value.args), dict(value.keywords))
        return {"partial": [to_json(part, where) for part in parts]}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        return {"array": array.tolist(), "dtype": array.dtype.name, "shape": list(array.shape)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"object": _path(type(value), where), "fields": _fields(value, where)}
    dtype = _dtype_name(value)
    if dtype is not None:
        return {"dtype": dtype}
    if callable(value):
        return {"import": _path(value, where)}
    raise InputError(f"{where} = {format_value(value)}: cannot be saved; {REMEDY}")


def from_json(spec: Any) -> Any:
    """The module or value that `to_json` describes; imports the modules that it names.

    Raises:
      InputError: a class or function that cannot be imported here.
    """
    if isinstance(spec, list):
        return [from_json(entry) for entry in spec]
    if not isinstance(spec, dict):
        return spec
    if "float" in spec:
        return float(spec["float"])
    if "tuple" in spec:
        return tuple(from_json(entry) for entry in spec["tuple"])
    if "named_tuple" in spec:
        return _import_class(spec["named_tuple"], _is_named_tuple)(*map(from_json, spec["entries"]))
    if "dict" in spec:
        return {key: from_json(entry) for key, entry in spec["dict"].items()}
    if "partial" in spec:
        function, args, keywords = map(from_json, spec["partial"])
        return functools.partial(function, *args, **keywords)
    if "array" in spec:
        array = np.asarray(spec["array"], jnp.dtype(spec["dtype"])).reshape(spec["shape"])
        return array if array.ndim else array[()]
    if "dtype" in spec:
        return getattr(jnp, spec["dtype"])
    if "import" in spec:
        return _import(spec["import"])
    kind = _import_class(spec["object"], dataclasses.is_dataclass)
    return kind(**{name: from_json(content) for name, content in spec["fields"].items()})


def _import_class(path: str, allowed: Callable[[type], bool]) -> Any:
    """The class at a path; nothing else is called, so that a file cannot run any function."""
    kind = _import(path)
    if not isinstance(kind, type) or not allowed(kind):
        raise InputError(f"{path}: is not a class of a model; the description is damaged")
    return kind


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _fields(value: Any, where: str) -> dict[str, Any]:
    """The fields that differ from their defaults, as JSON."""
    fields = {}
    for field in dataclasses.fields(value):
        if not field.init or field.name == "parent" or not hasattr(value, field.name):
            continue
        content = getattr(value, field.name)
        has_default = field.default is not dataclasses.MISSING
        if has_default and (content is field.default or _is_equal(content, field.default)):
            continue
        fields[field.name] = to_json(content, f"{where}.{field.name}")
    return fields


def _is_equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, bool | int | float | str | tuple) and a == b


def _dtype_name(value: Any) -> str | None:
    """The name of a dtype, such as `jnp.float32`, `np.float32` or `np.dtype("float32")`."""
    if isinstance(value, np.dtype):
        return value.name
    is_scalar_type = isinstance(value, type) and issubclass(value, np.generic)
    if is_scalar_type or type(value) is type(jnp.float32):
        return jnp.dtype(value).name
    return None


def _path(value: Any, where: str) -> str:
    """'module:name' from which the object can be imported again."""
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    for home in PUBLIC:
        if name and getattr(importlib.import_module(home), name, None) is value:
            return f"{home}:{name}"
    module = getattr(value, "__module__", None)
    if not name or not module or "<" in name:
        raise InputError(
            f"{where} = {format_value(value, 80)}: has no name by which it can be imported; "
            f"{REMEDY}"
        )
    path = f"{module}:{name}"
    if _import(path, where) is not value:
        raise InputError(f"{where}: {path} is another object now; {REMEDY}")
    return path


def _import(path: str, where: str = "model") -> Any:
    """The object at 'module:name'."""
    module, _, name = path.partition(":")
    try:
        value = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        hint = f"make {module} importable, as by PYTHONPATH"
        if module == "__main__":
            hint = "it was defined in a script or notebook: define it again before loading"
        raise InputError(
            f"{where}: {name} of {module} cannot be imported ({error}); {hint}, or pass the "
            "module: load(folder, model=...)"
        ) from error
    return value
