"""The key of a post-update under pmap is the same on all devices, that of the loss is not."""

import json
import os
import pathlib
import subprocess
import sys


def test_all_devices_change_the_parameters_alike():
    script = pathlib.Path(__file__).parent / "programs" / "post_update_key.py"
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(script.parents[2]),
    }
    output = subprocess.run(
        [sys.executable, script], env=env, capture_output=True, text=True, check=True
    ).stdout
    result = json.loads(output.splitlines()[-1])
    assert result["devices"] == 8
    assert result["replicas_differ"] == 0
    assert result["from_single"] < 1e-6
    assert result["noise_variance"] > 0.1
