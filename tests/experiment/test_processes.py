"""The same run on one device, on eight, and on two processes of four.

The numbers are the same, and each resumes from the checkpoints of the others.
"""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from one_process import CONFIG, STREAMED
from test_loop import small

import vae_jax
from vae_jax import visualize
from vae_jax.errors import InputError
from vae_jax.experiment import processes
from vae_jax.experiment.launch import clusters
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.training import loop

SCRIPT = pathlib.Path(__file__).parents[1] / "programs" / "one_process.py"


def start(workdir, num_devices, *several, fields=None):
    env = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
        "JAX_PLATFORMS": "cpu",
    }
    helpers = SCRIPT.parents[1] / "experiment" / "training"
    env["PYTHONPATH"] = os.pathsep.join(
        [str(SCRIPT.parents[2]), str(helpers), env.get("PYTHONPATH", "")]
    )
    command = [
        sys.executable,
        str(SCRIPT),
        str(workdir),
        json.dumps(fields or {}),
        *map(str, several),
    ]
    with open(log_of(workdir, *several[2:]), "w") as log:
        return subprocess.Popen(command, env=env, stderr=log)


def log_of(workdir, index=0):
    return workdir.with_name(f"{workdir.name}.{index}.log")


def finish(*started):
    try:
        return [process.wait(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()


def start_two(workdir, fields=({}, {}), num_devices=4):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    return [start(workdir, num_devices, port, 2, index, fields=fields[index]) for index in range(2)]


def copy_half(workdir, copy):
    """Copy a run as it was at step 50, with all lines of its metrics."""
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "checkpoints" / "100")
    return copy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the parent of the workdirs of finished runs.

    The two processes stream their data; the other runs have them in memory.
    """
    root = tmp_path_factory.mktemp("processes")
    two = start_two(root / "two", (STREAMED, STREAMED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        loop.train_and_evaluate(small(**CONFIG), root / "one")
        assert finish(*two) == [0, 0], log_of(root / "two").read_text()
        again = [
            *start_two(copy_half(root / "one", root / "one_then_two")),
            start(copy_half(root / "one", root / "one_then_eight"), 8),
        ]
        loop.train_and_evaluate(
            small(**CONFIG | STREAMED), copy_half(root / "two", root / "two_then_one")
        )
        assert finish(*again) == [0, 0, 0]
    return root


def largest_difference(workdir, other):
    trees = [jax.tree.leaves(vae_jax.load(path, step=100).params) for path in (workdir, other)]
    return max(
        float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(*trees, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["two", "one_then_two", "one_then_eight", "two_then_one"])
def test_the_numbers_are_those_of_one_device(runs, how):
    assert largest_difference(runs / how, runs / "one") < 1e-4
    ours, theirs = read_metrics(runs / how), read_metrics(runs / "one")
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert our["elbo"] == pytest.approx(their["elbo"], rel=1e-4)
    results = [
        json.loads((runs / path / "results.json").read_text())["test"]["elbo"]
        for path in (how, "one")
    ]
    assert results[0] == pytest.approx(results[1], rel=1e-4)


@pytest.mark.slow
def test_one_of_the_processes_writes(runs):
    assert (runs / "two.drawn").read_text() == "once\n"
    assert len(list((runs / "two" / "tensorboard").iterdir())) == 1
    steps = [line["step"] for line in read_metrics(runs / "two") if line["split"] == "train"]
    assert steps == list(range(10, 101, 10))


@pytest.mark.slow
def test_an_error_of_one_process_ends_all(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    first = start_two(tmp_path / "run")
    other = start_two(tmp_path / "other", ({}, {"data__name": "npz", "data__path": "/nowhere.npz"}))
    assert finish(*first, *other) == [2, 2, 2, 2]  # wrong input, of one process or of both
    for index in range(2):
        assert (
            "no config.json, so there is no run to resume"
            in log_of(tmp_path / "run", index).read_text()
        )
        assert (
            "error: process 1: config.data.path = '/nowhere.npz'"
            in log_of(tmp_path / "other", index).read_text()
        )
    assert not (tmp_path / "other").exists()


def two_under_way(workdir):
    """Start two processes of a run of hours and wait for its first lines."""
    long = {"train__num_steps": 10**6, "train__eval_every": 10**6}
    started, deadline = start_two(workdir, (long, long)), time.monotonic() + 200
    while not read_metrics(workdir):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in started), log_of(workdir).read_text()
        time.sleep(0.1)
    return started


@pytest.mark.slow
def test_sigterm_to_one_of_two_saves_and_ends_both(tmp_path):
    told = two_under_way(tmp_path / "told")
    told[1].terminate()
    assert finish(*told) == [143, 143]
    assert "is saved; run the same command to resume" in log_of(tmp_path / "told").read_text()
    assert len(list((tmp_path / "told" / "checkpoints").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_the_survivor_of_a_killed_process_names_it_and_both_resume(tmp_path, lost):
    """With a checkpoint at the kill; the numbers are those of an undisturbed run of two."""
    workdir = tmp_path / "run"
    both = until_checkpoint(workdir, 50)
    both[lost].kill()
    killed = time.monotonic()
    assert both[1 - lost].wait(timeout=60) == 1
    print(f"process {lost} killed, the other ended after {time.monotonic() - killed:.2f} s")
    lines = log_of(workdir, 1 - lost).read_text().splitlines()
    message = f"error: process {lost} of this run ended or cannot be reached; run the same command"
    assert lines[-1].startswith(message)
    assert "Traceback" not in "".join(lines)
    assert len([line for line in lines if "error" in line.lower()]) == 1
    assert_they_resume(workdir, tmp_path / "whole")


SHORT = {"train__num_steps": 300, "train__eval_every": 50, "train__log_every": 5}


def until_checkpoint(workdir, step):
    """Start two processes of one device each, and wait for their checkpoint of a step."""
    both, deadline = start_two(workdir, (SHORT, SHORT), 1), time.monotonic() + 400
    while not (workdir / "checkpoints" / str(step)).exists():
        if time.monotonic() > deadline or any(process.poll() is not None for process in both):
            for process in both:
                process.kill()
            pytest.fail(log_of(workdir).read_text())
        time.sleep(0.01)
    return both


def assert_they_resume(workdir, whole):
    """Both resume, and end with the parameters and the lines of an undisturbed run of two."""
    for path in (workdir, whole):
        assert finish(*start_two(path, (SHORT, SHORT), 1)) == [0, 0], log_of(path).read_text()
    steps = [(line["step"], line["split"]) for line in read_metrics(workdir)]
    assert steps == [(line["step"], line["split"]) for line in read_metrics(whole)]
    paths = (workdir, whole)
    ours, theirs = (jax.tree.leaves(vae_jax.load(path, step=300).params) for path in paths)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(our, their)


def fill(disk, rest=0):
    """Fill the disk but for the rest, bytes."""
    with contextlib.suppress(OSError), open(disk / "ballast", "wb", buffering=0) as file:
        while shutil.disk_usage(disk).free > rest:
            file.write(bytes(4096))


FULL = (
    r"error: (checkpoint \d+ could not be written: no space left on the device"
    r"|\[Errno 28\] No space left on device: '.*(metrics\.jsonl|training\.json|tfevents.*)'); "
    r"the last good checkpoint is step {step} in .*checkpoints"
)
LOST = r"error: process [01] of this run ended or cannot be reached; run the same command .*"


@pytest.mark.slow
def test_a_full_disk_is_one_line_of_each_process_and_both_resume(disk, tmp_path):
    """Full at a checkpoint, then at a line of metrics; the numbers are those of a disk with room.

    Each process writes a part of a checkpoint, so that both may meet the full disk.
    """
    (disk / "run").mkdir()
    workdir = tmp_path / "run"  # beside its logs, which need room
    workdir.symlink_to(disk / "run")
    fill(disk, rest=250_000)  # for one checkpoint of about 170 kB
    assert_both_say_that_it_is_full(start_two(workdir, (SHORT, SHORT), 1), workdir, 50)
    (disk / "ballast").unlink()
    both = until_checkpoint(workdir, 100)
    fill(disk)
    assert_both_say_that_it_is_full(both, workdir, r"\d+")
    (disk / "ballast").unlink()
    assert_they_resume(workdir, tmp_path / "whole")


def assert_both_say_that_it_is_full(both, workdir, step):
    assert finish(*both) == [1, 1]
    lines = [log_of(workdir, index).read_text().splitlines() for index in range(2)]
    print(*lines, sep="\n")
    full = FULL.replace("{step}", str(step))
    assert [len(own) for own in lines] == [1, 1]
    assert all(re.fullmatch(f"{full}|{LOST}", own[0]) for own in lines)
    assert any(re.fullmatch(full, own[0]) for own in lines)


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_the_watch_alone_names_a_process_that_ends_without_a_word(stopped):
    """No collective is under way, which would fail."""
    killed, survivor = watched(stopped, "time.sleep(300)")
    assert (killed, survivor[0]) == (-9, 1)
    assert survivor[1].endswith(
        f"error: process {stopped} of this run ended or cannot be reached; "
        "run the same command in all processes to resume\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_the_watch_where_only_jax_knows_the_first_process(stopped):
    """Under variables of Slurm, for which JAX takes its port from the number of the job."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        job = probe.getsockname()[1]
    step = {"SLURM_JOB_ID": job, "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": 2}
    step |= {"SLURM_STEP_NUM_TASKS": 2, "SLURM_LOCALID": 0}
    step = {name: str(value) for name, value in step.items()}
    variables = [step | {"SLURM_PROCID": str(index)} for index in range(2)]
    killed, survivor = watched(stopped, "time.sleep(300)", variables)
    assert (killed, survivor[0]) == (-9, 1)
    assert f"error: process {stopped} of this run ended or cannot be reached" in survivor[1]


@pytest.mark.slow
def test_an_unexpected_error_of_one_process_ends_both():
    """Only the process with the defect shows a traceback."""
    code = (
        "from vae_jax.experiment.launch import exits\n"
        "with exits.exit_with_message():\n"
        "    if sys.argv[1] == '1':\n"
        "        raise KeyError('a defect')\n"
        "    time.sleep(300)"
    )
    (other, message), (status, output) = watched(None, code)
    assert (other, status) == (1, 1)
    assert output.endswith("KeyError: 'a defect'\n")
    assert "Traceback" not in message
    assert "error: process 1 of this run ended or cannot be reached" in message


READ = """
import os
import orbax.checkpoint as ocp
from vae_jax.experiment import peers
from vae_jax.experiment.launch import exits
from vae_jax.experiment.storage.checkpoint import Checkpoints

end = peers._end
peers._end = lambda lost: time.sleep(1) or end(lost)  # so that the reading fails first

def die():
    if sys.argv[1] == "1":
        time.sleep(1)
        os.kill(os.getpid(), 9)

with exits.exit_with_message():
    with ocp.CheckpointManager("{workdir}/checkpoints") as manager:
        manager.save(1, args=ocp.args.Composite(description=ocp.args.JsonSave({{}})))
    if "{moment}" == "opened":
        die()
    with Checkpoints("{workdir}") as checkpoints:
        die()
        checkpoints.best_step()
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["opened", "read"])
def test_a_process_lost_while_checkpoints_are_read_damages_none(tmp_path, moment):
    (status, output), (killed, _) = watched(None, READ.format(workdir=tmp_path, moment=moment))
    assert (status, killed) == (1, -9)
    errors = [line for line in output.splitlines() if "error" in line.lower()]
    assert len(errors) == 1
    assert re.fullmatch(LOST, errors[0])
    assert "damaged" not in output


@pytest.mark.slow
def test_processes_that_end_in_order_are_not_lost():
    for status, output in watched(None, "pass"):
        assert status == 0, output
        assert "error" not in output


def watched(killed, code, variables=None):
    """Run two processes that join and then run the code; kill one of them once both have joined.

    With variables of a cluster for each process, they join without flags.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    flags = "" if variables else f"'localhost:{port}', 2, int(sys.argv[1])"
    program = (
        "import sys, time\n"
        "from vae_jax.experiment import processes\n"
        f"processes.start({flags})\n"
        f"print('joined', flush=True)\n{code}\n"
    )
    env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(SCRIPT.parents[2])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(index)], env=env | own, **pipes)
        for index, own in enumerate(variables or [{}, {}])
    ]
    if killed is None:
        return [(process.wait(timeout=120), process.stderr.read()) for process in started]
    for process in started:
        assert "joined\n" in iter(process.stdout.readline, "")  # after a line of JAX
    time.sleep(1)
    started[killed].kill()
    survivor = started[1 - killed]
    return started[killed].wait(), (survivor.wait(timeout=60), survivor.communicate()[1])


@pytest.mark.slow
def test_a_flag_is_known_to_both_processes_one_call_later():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    script = SCRIPT.with_name("shared_flag.py")
    env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(SCRIPT.parents[2])}
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(port), str(index)],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    results = [json.loads(output.splitlines()[-1]) for output in outputs]
    for result in results:
        # Set at call 3, and so known to both at call 4.
        assert result["answers"] == [False, False, False, False, True, True]
    # With calls of 10 ms and 0.2 s between two combinations, few calls combine.
    assert results[0]["call"] == results[1]["call"] > 150
    assert results[0]["combined"] == results[1]["combined"] < results[0]["call"] / 4


@pytest.mark.parametrize(
    ("seconds", "seconds_of_a_call", "calls"),
    [(1, 0.01, 100), (1, 3.0, 1), (0, 0.01, 1), (1, 0.0, processes.MAX_CALLS), (1, 0.4, 2)],
)
def test_the_calls_between_two_combinations(seconds, seconds_of_a_call, calls):
    assert processes.calls_between(seconds, seconds_of_a_call) == calls


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("host:1", None, None), r"num_processes: must be given with coordinator"),
        ((None, 2, 0), r"coordinator: must be given with num_processes, process_index"),
        (("host:1", 2, 2), r"process_index = 2: must be from 0 to 1"),
        (("host", 2, 0), r"coordinator = 'host': must be an address and a port"),
        ((":1234", 2, 0), r"coordinator = ':1234': must be an address and a port"),
        (("host:99999", 2, 0), r"coordinator = 'host:99999': must be an address and a port"),
    ],
)
def test_invalid_flags(flags, message):
    with pytest.raises(InputError, match=message):
        processes.start(*flags)


CLUSTER_VARIABLES = (
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_MCA_orte_hnp_uri",
    "PMI_SIZE",
    "TPU_PROCESS_ADDRESSES_PATH",
    "TPU_PROCESS_ADDRESSES",
    "TPU_WORKER_HOSTNAMES",
    "MEGASCALE_NUM_SLICES",
    "JOB_COMPLETION_INDEX",
    "KUBERNETES_SERVICE_HOST",
    "TPU_SKIP_MDS_QUERY",
)
OMPI = {"OMPI_COMM_WORLD_SIZE": "2"}
POD = {"JOB_COMPLETION_INDEX": "0", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def alone(monkeypatch):
    """Remove all variables of clusters, and set others."""
    for name in CLUSTER_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def set_variables(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    ("environment", "flag", "joins"),
    [
        ({"TPU_PROCESS_ADDRESSES": "host-0:1,host-1:1"}, None, True),
        ({"TPU_PROCESS_ADDRESSES": "host-0:1", "TPU_WORKER_HOSTNAMES": "a,b"}, None, False),
        ({"MEGASCALE_NUM_SLICES": "2", "TPU_WORKER_HOSTNAMES": "host-0"}, None, True),
        ({"MEGASCALE_NUM_SLICES": "1"}, None, False),
        (OMPI | {"OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:1"}, None, True),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, None, False),
        (POD, None, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, False),  # a pod of its own
        (POD, False, False),
        ({"SLURM_STEP_NUM_TASKS": "4"}, False, False),
        ({"SLURM_STEP_NUM_TASKS": "4"}, None, True),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None, False),
        ({"SLURM_STEP_NUM_TASKS": "many"}, None, False),
        ({"TPU_WORKER_HOSTNAMES": "host-0,host-1"}, None, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None, False),
        ({}, True, True),
    ],
)
def test_clusters_are_detected(monkeypatch, alone, environment, flag, joins):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **_: calls.append(args))
    alone(environment)
    processes.start(distributed=flag)
    assert calls == [()] * joins


@pytest.mark.parametrize("variables", [OMPI, {"PMI_SIZE": "3"}])
def test_mpi_is_asked_where_jax_does_not_do_so_by_itself(monkeypatch, alone, variables):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: calls.append(options))
    timeout = {"heartbeat_timeout_seconds": processes.HEARTBEAT_TIMEOUT}
    alone(variables)
    processes.start()
    assert calls == [timeout | {"cluster_detection_method": "mpi4py"}]


def test_addresses_in_a_file(alone, tmp_path):
    path = tmp_path / "addresses"
    alone({"TPU_PROCESS_ADDRESSES_PATH": str(path), "TPU_PROCESS_ADDRESSES": "host-0"})
    assert "cannot be read" in clusters.detect().evidence
    path.write_text("host-0:1,host-1:1\n")
    assert clusters.detect().evidence == f"TPU_PROCESS_ADDRESSES_PATH={path}"
    path.write_text("host-0:1\n")
    assert clusters.detect() is None


@pytest.mark.parametrize(
    ("attributes", "evidence"),
    [
        ({"worker-network-endpoints": "a:b:10.0.0.1,c:d:10.0.0.2"}, "worker-network-endpoints=a:b"),
        ({"worker-network-endpoints": "a:b:10.0.0.1"}, None),
        (
            {"worker-network-endpoints": "a", "tpu-env": "ZONE: 'x'\nMEGASCALE_NUM_SLICES: '2'\n"},
            "MEGASCALE_NUM_SLICES=2",
        ),
        ({}, None),
    ],
)
def test_a_slice_of_compute_engine(monkeypatch, alone, attributes, evidence):
    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = {
                f"/computeMetadata/v1/instance/attributes/{k}": attributes[k] for k in attributes
            }
            is_known = self.path in known and self.headers["Metadata-Flavor"] == "Google"
            self.send_response(200 if is_known else 404)
            self.end_headers()
            self.wfile.write(known.get(self.path, "").encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("localhost", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        alone({"GCE_METADATA_IP": f"localhost:{server.server_port}"})
        assert clusters.detect() is None  # not a host with TPUs, so that nothing is asked
        monkeypatch.setattr(clusters, "_has_tpu", lambda: True)
        cluster = clusters.detect()
        server.shutdown()
        thread.join()
    assert cluster is None if evidence is None else cluster.evidence.startswith(evidence)


@pytest.mark.parametrize("variables", [OMPI, POD, {"TPU_PROCESS_ADDRESSES": "a,b"}])
@pytest.mark.filterwarnings("ignore:.*Kubernetes environment detected")
def test_a_cluster_that_jax_cannot_join_stops_with_the_flags(monkeypatch, alone, variables):
    """With JAX's own detection: no package of MPI or Kubernetes is installed, and no TPU."""
    for package in ("mpi4py", "kubernetes"):
        monkeypatch.setitem(sys.modules, package, None)
    alone(variables)
    name = next(iter(variables))
    with pytest.raises(
        InputError, match=rf"one of several processes \({name}=.*--coordinator, .*--nodistributed"
    ):
        processes.start()
    assert not jax.distributed.is_initialized()


def test_nodistributed_with_a_coordinator():
    with pytest.raises(InputError, match="coordinator: does nothing with --nodistributed"):
        processes.start("host:1", 2, 0, distributed=False)


def test_a_coordinator_that_cannot_be_reached(monkeypatch):
    def refuses(*_, **__):
        raise RuntimeError("DEADLINE_EXCEEDED: no answer\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", refuses)
    with pytest.raises(
        InputError,
        match=r"coordinator = 'host:1': cannot be reached \(DEADLINE_EXCEEDED: no answer\)",
    ):
        processes.start("host:1", 2, 0)


def test_a_single_process_starts_nothing():
    processes.start()
    processes.start("localhost:1", 1, 0)
    assert processes.is_first()
    assert not processes.any_of(False)
    assert processes.any_of(True)
    flag = processes.SharedFlag()
    assert [flag.exchange(value) for value in (False, True, False)] == [False, True, False]
