"""Detection of clusters, whose processes are started together.

`jax.distributed.initialize` detects the same clusters and joins their processes, but does not
report whether it found one.
"""

import importlib.util
import os
import pathlib
import urllib.error
import urllib.request
from typing import NamedTuple

METADATA_TIMEOUT = 2.0  # seconds: the server of Google Compute Engine answers at once


class Cluster(NamedTuple):
    """A cluster with several processes.

    Attributes:
      evidence: the environment variable that shows it, with its value.
      method: detection method of `jax.distributed.initialize`, "" for its default.
    """

    evidence: str
    method: str = ""


def detect() -> Cluster | None:
    """Return the cluster whose processes this is one of, None for a single process.

    Slurm steps, Open MPI and other launchers of MPI, slices of TPUs on Google Kubernetes Engine and
    Google Compute Engine, and indexed jobs of Kubernetes.
    """
    return (
        _count("SLURM_STEP_NUM_TASKS")
        or _count("OMPI_COMM_WORLD_SIZE", method=_open_mpi_method())
        or _count("PMI_SIZE", method="mpi4py")
        or _tpu_hosts()
        or _count("MEGASCALE_NUM_SLICES")
        or _indexed_job()
        or _compute_engine_slice()
    )


def _count(name: str, method: str = "") -> Cluster | None:
    """A cluster if the variable is a number above 1."""
    value = os.environ.get(name, "").strip()
    return Cluster(f"{name}={value}", method) if value.isdigit() and int(value) > 1 else None


def _open_mpi_method() -> str:
    """Open MPI before version 5 sets the address of its launcher; newer versions need mpi4py."""
    return "" if "OMPI_MCA_orte_hnp_uri" in os.environ else "mpi4py"


def _tpu_hosts() -> Cluster | None:
    """Hosts of a TPU slice on Google Kubernetes Engine, in the order of JAX's own detection."""
    path = os.environ.get("TPU_PROCESS_ADDRESSES_PATH")
    if path:
        try:
            hosts = pathlib.Path(path).read_text()
        except OSError:
            return Cluster(f"TPU_PROCESS_ADDRESSES_PATH={path}, which cannot be read")
        return Cluster(f"TPU_PROCESS_ADDRESSES_PATH={path}") if "," in hosts else None
    for name in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES"):
        if name in os.environ:
            hosts = os.environ[name]
            return Cluster(f"{name}={hosts}") if "," in hosts else None
    return None


def _indexed_job() -> Cluster | None:
    """A pod of an indexed job; only the Kubernetes API server knows the number of pods."""
    index = os.environ.get("JOB_COMPLETION_INDEX")
    if index is None or "KUBERNETES_SERVICE_HOST" not in os.environ:
        return None
    return Cluster(f"JOB_COMPLETION_INDEX={index}")


def _compute_engine_slice() -> Cluster | None:
    """Several hosts of a TPU slice on Google Compute Engine, by its metadata server."""
    if "TPU_SKIP_MDS_QUERY" in os.environ or not _has_tpu():
        return None
    hosts = _metadata("worker-network-endpoints")
    if "," in hosts:
        return Cluster(f"worker-network-endpoints={hosts}")
    for line in _metadata("tpu-env").splitlines():
        key, _, value = line.partition(":")
        count = value.strip().strip("'")
        if key.strip() == "MEGASCALE_NUM_SLICES" and count.isdigit() and int(count) > 1:
            return Cluster(f"MEGASCALE_NUM_SLICES={count}")
    return None


def _has_tpu() -> bool:
    """True on a TPU host with the library of the TPU, without loading it."""
    has_library = "TPU_LIBRARY_PATH" in os.environ or importlib.util.find_spec("libtpu") is not None
    devices = pathlib.Path("/dev")
    return has_library and (any(devices.glob("accel*")) or any(devices.glob("vfio/[0-9]*")))


def _metadata(key: str) -> str:
    """Return an attribute of this host, "" if there is none or no server."""
    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/attributes/{key}",
        headers={"Metadata-Flavor": "Google"},
    )
    try:
        with urllib.request.urlopen(request, timeout=METADATA_TIMEOUT) as response:
            return response.read().decode(errors="replace")
    except (OSError, urllib.error.URLError):
        return ""
