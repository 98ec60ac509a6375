"""What an SPK kernel knows of a body, told by a process of its own.

For SPICE ends its process where a damaged kernel misleads it.

    python -P spk_kernel.py <kernel> <body> <center> [<center> ...]

takes times from the standard input (JSON, seconds from J2000) and answers in JSON: ``cover``,
the intervals that the kernel covers [s], and, where all times lie in these, ``center``, the
first of the centers that the body is known relative to (or null), and ``position``, one vector
per time [km]. To be run by its path: nothing of this package is needed.
"""

import json
import sys

import spiceypy


def main() -> None:
    """Answer one question."""
    path, body, *centers = sys.argv[1:]
    times = json.load(sys.stdin)
    with spiceypy.KernelPool(path):
        window = spiceypy.spkcov(path, int(body))
        cover = [spiceypy.wnfetd(window, index) for index in range(spiceypy.wncard(window))]
        answer = {"cover": [[float(end) for end in interval] for interval in cover]}
        if all(any(first <= time <= last for first, last in cover) for time in times):
            answer |= _positions(int(body), [int(center) for center in centers], times)
    json.dump(answer, sys.stdout)


def _positions(body: int, centers: list[int], times: list[float]) -> dict:
    for center in centers:
        try:
            vectors = [spiceypy.spkgps(body, time, "J2000", center)[0].tolist() for time in times]
        except spiceypy.exceptions.SpiceSPKINSUFFDATA:
            continue
        return {"center": center, "position": vectors}
    return {"center": None}


if __name__ == "__main__":
    try:
        main()
    except spiceypy.exceptions.SpiceyError as error:
        sys.exit(f"{error.short} {error.explain}".strip())
