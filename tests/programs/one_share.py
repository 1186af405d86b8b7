"""Run some trials of test_sweep.py's sweep, as one of test_trial_shares.py's processes.

python tests/programs/one_share.py WORKDIR SHARE [FIELDS]
"""

import json
import logging
import sys

from test_loop import small

from vae_jax import visualize
from vae_jax.config.sweep import parse_share
from vae_jax.experiment.launch import exits
from vae_jax.experiment.training import loop

SWEEP = {"sweep__seed": (3, 4), "sweep__beta": (1.0, 0.5)}

if __name__ == "__main__":
    workdir, share, *fields = sys.argv[1:]
    # Orbax has installed a handler of absl, which would make this a no-op.
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    visualize.plot_all = lambda *args, **kwargs: []
    config = small(**SWEEP | (json.loads(fields[0]) if fields else {}))
    with exits.exit_with_message():
        loop.train_and_evaluate(config, workdir, share=parse_share(share))
