"""The devices that the environment asks for: a message if there are none."""

import importlib.util
import os

import jax

from vae_jax.errors import RunStopped, suggest, truncate

VARIABLES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
PLUGINS = {  # platform -> packages of which it needs one, and the command that installs it
    "cpu": ((), ""),
    "cuda": (("jax_cuda13_plugin", "jax_cuda12_plugin"), "vae_jax[cuda]"),
    "gpu": (("jax_cuda13_plugin", "jax_cuda12_plugin", "jax_rocm7_plugin"), "vae_jax[cuda]"),
    "rocm": (("jax_rocm7_plugin", "jax_rocm60_plugin"), "the ROCm plugin of JAX"),
    "tpu": (("libtpu",), "vae_jax[tpu]"),
}


def check_devices() -> None:
    """Raises RunStopped if JAX cannot use the devices that the environment asks for."""
    try:
        jax.devices()
    except Exception as error:  # a bare AssertionError for JAX_PLATFORMS=cuda
        raise RunStopped(_explain(error)) from error


def _explain(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    reason = truncate(text.splitlines()[0], 300)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        reason += f"; CUDA_VISIBLE_DEVICES = {visible!r}"
    variable = next((name for name in VARIABLES if os.environ.get(name)), None)
    if variable is None:
        return f"no device can be used ({reason}); JAX_PLATFORMS=cpu runs on the processor"
    value = os.environ[variable]
    names = [name.strip().lower() for name in value.split(",")]
    prefix = f"{variable} = {value!r}"
    for name in names:
        if name not in PLUGINS and f"known backends: ['{name}" not in text:
            return (
                f"{prefix}: unknown platform; allowed are {', '.join(PLUGINS)}"
                f"{suggest(name, PLUGINS)}"
            )
    missing = [name for name in names if not _has_plugin(name)]
    if missing:
        return f"{prefix}: no such device here; omit it, or install {PLUGINS[missing[0]][1]}"
    return (
        f"{prefix}: the device cannot be used ({reason}); JAX_PLATFORMS=cpu runs on the processor"
    )


def _has_plugin(platform: str) -> bool:
    packages = PLUGINS[platform][0] if platform in PLUGINS else ()
    return not packages or any(importlib.util.find_spec(name) for name in packages)
