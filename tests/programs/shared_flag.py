"""Run by test_processes.py as one of two processes, of which the second sets its flag once.

python tests/programs/shared_flag.py PORT PROCESS_INDEX

Prints the answers of each exchange as JSON.
"""

import json
import sys

from jax.experimental import multihost_utils

from vae_jax.experiment import processes

SET_AT, CALLS = 3, 6

if __name__ == "__main__":
    port, index = sys.argv[1], int(sys.argv[2])
    processes.start(f"localhost:{port}", 2, index)
    multihost_utils.process_allgather = None  # which waits for the answer
    flag = processes.SharedFlag()
    answers = [flag.exchange(index == 1 and call == SET_AT) for call in range(CALLS)]
    print(json.dumps({"answers": answers}))
