"""Run by test_processes.py as one of several processes: trains the small run of test_loop.py.

python tests/programs/one_process.py WORKDIR FIELDS [PORT NUM_PROCESSES PROCESS_INDEX]

FIELDS are those that differ from the defaults of `small`, as JSON.
"""

import json
import logging
import pathlib
import sys

from test_loop import small

from vae_jax import visualize
from vae_jax.experiment import processes
from vae_jax.experiment.launch import exits
from vae_jax.experiment.training import loop

CONFIG = {"train__num_steps": 100, "train__eval_every": 50}
STREAMED = {"data__streaming": True, "data__workers": 1}

if __name__ == "__main__":
    workdir, fields, *several = sys.argv[1:]
    if several:
        port, num_processes, process_index = several
        processes.start(f"localhost:{port}", int(num_processes), int(process_index))
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # as the command line does
    drawn = pathlib.Path(workdir + ".drawn")
    visualize.plot_all = lambda *args, **kwargs: [] * drawn.open("a").write("once\n")
    with exits.exit_with_message():
        loop.train_and_evaluate(small(**CONFIG | json.loads(fields)), workdir)
