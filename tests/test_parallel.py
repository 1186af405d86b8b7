import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from vae_jax import parallel

# To set up the fixture; in the default suite tests/models/test_vq.py uses eight devices.
takes_a_minute = pytest.mark.slow


@pytest.fixture(scope="module")
def eight_devices():
    script = pathlib.Path(__file__).parent / "programs" / "eight_devices.py"
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    env["PYTHONPATH"] = os.pathsep.join([str(script.parents[2]), env.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@takes_a_minute
def test_eight_devices_take_the_steps_of_one(eight_devices):
    assert eight_devices["devices"] == eight_devices["batch_is_split"] == 8
    assert eight_devices["moved"] > 0.1
    assert eight_devices["step"] < 1e-4


@takes_a_minute
def test_eight_devices_run_the_epoch_of_one(eight_devices):
    assert eight_devices["epoch"] < 1e-4
    assert eight_devices["masked_epoch"] < 1e-4
    assert eight_devices["epoch_losses"] < 1e-4


@takes_a_minute
def test_eight_devices_evaluate_every_example_once(eight_devices):
    assert eight_devices["evaluated"] == [160, 160]
    one, eight = eight_devices["evaluation"]
    assert eight == pytest.approx(one, rel=1e-5)
    one, eight, other = eight_devices["masked_evaluation"]
    assert eight == pytest.approx(one, rel=1e-5)
    assert other == eight  # what stands at missing entries


@takes_a_minute
def test_trials_on_eight_devices_are_those_of_one(eight_devices):
    assert eight_devices["trials"] < 1e-5
    assert eight_devices["trials_are_split"] == 8
    # The largest number of devices that divides the trials.
    assert eight_devices["trials_meshes"] == [0, 3, 4, 7, 3, 8]


@takes_a_minute
def test_pmap_trains_and_its_replicas_stay_equal(eight_devices):
    first, last = eight_devices["pmap_losses"]
    assert last < first - 1
    assert eight_devices["pmap_replicas_differ"] == 0


@takes_a_minute
def test_pmap_without_noise_takes_the_steps_of_one_device(eight_devices):
    assert eight_devices["pmap_noise_free"] < 1e-4


def test_no_mesh_on_one_device():
    assert parallel.data_mesh(jax.devices()[:1]) is None
    assert parallel.replicate({"a": 1}, None) == {"a": 1}
