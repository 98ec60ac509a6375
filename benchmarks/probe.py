"""How fast is this core right now: CPU seconds of a fixed piece of numpy work.

Machines are shared and noisy; a cost given in probes (CPU seconds of the work divided by
this, measured just before and after it) can be compared between runs and machines.
"""

import time

import numpy as np


def probe() -> float:
    """Sort and square-root two million normal deviates five times; return CPU seconds."""
    rng = np.random.default_rng(0)
    start = time.process_time()
    values = rng.standard_normal(2_000_000)
    for _ in range(5):
        np.sort(values.copy())
        np.sqrt(values * values + 1).sum()
    return time.process_time() - start


if __name__ == "__main__":
    print(f"{probe():.3f} s per probe")
