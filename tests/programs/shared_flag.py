"""Run by test_processes.py as one of two processes, of which the second sets its flag once.

python tests/programs/shared_flag.py PORT PROCESS_INDEX

Prints the answers of each exchange as JSON.
"""

import json
import sys
import time

from jax.experimental import multihost_utils

from vae_jax.experiment import processes

SET_AT, CALLS = 3, 6

if __name__ == "__main__":
    port, index = sys.argv[1], int(sys.argv[2])
    processes.start(f"localhost:{port}", 2, index)
    multihost_utils.process_allgather = None  # which waits for the answer
    flag = processes.SharedFlag(seconds=0)
    answers = [flag.exchange(index == 1 and call == SET_AT) for call in range(CALLS)]
    combined, answer, call = [], False, 0
    flag = processes.SharedFlag(seconds=0.2)
    combine = flag._combine
    flag._combine = lambda rows: combined.append(1) or combine(rows)
    start = time.monotonic()
    while not answer and time.monotonic() - start < 20:
        time.sleep(0.01 * index)  # one process is slower than the other
        answer = flag.exchange(index == 1 and call == 150)
        call += 1
    print(json.dumps({"answers": answers, "call": call, "combined": len(combined)}))
