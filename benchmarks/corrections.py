"""FLUX_CORR of variable stars: what is removed, and what is left of their signals.

python benchmarks/corrections.py [number of stars of each kind]

Light curves of 1,200 images with a gap, made here: eleven kinds of stars, two kinds of image
motion (jitter of 14 mpx with a drift of 0.12 px; hardly any jitter, a drift of 0.2 px and a
transient after the gap, as in sector 8), with systematics of 2 % per pixel and without.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tessphot_lib.lightcurves.correction import correct_flux, daily_means, motion_regressors
from tessphot_lib.lightcurves.joint_fit import point_scatter

N = 1200
NOISE = (2e-4, 1e-3)  # relative, per image
STRENGTH = (0.0, 0.02)  # [per pixel] relative change of the flux


def jitter(rng: np.random.Generator, time: NDArray) -> NDArray:
    """Motion (2, N) as the simulator has it [pixels]."""
    slow = np.linspace(-0.06, 0.06, N)
    white = rng.standard_normal((2, N)) * [[0.014], [0.012]]
    return np.array([slow, 0.6 * slow**2 / 0.06]) + white


def drift(rng: np.random.Generator, time: NDArray) -> NDArray:
    """Motion (2, N) like that of sector 8 [pixels]."""
    phase, late = (time - time[0]) / np.ptp(time), np.arange(N) >= N // 2
    decay = np.where(late, np.exp(-(time - time[N // 2])), 0.0)
    row = 0.1 * np.sin(2.8 * phase + 1) + 0.06 * late + 0.08 * decay
    column = -0.12 * phase + 0.05 * phase**2 - 0.05 * late - 0.05 * decay
    return np.array([row, column]) + 8e-4 * rng.standard_normal((2, N))


def signals(rng: np.random.Generator, time: NDArray) -> dict[str, NDArray]:
    """Relative variations (N,) of each kind of star."""
    start, phase = time[0], rng.random()

    def wave(period: float) -> NDArray:
        return np.sin(2 * np.pi * (time / period + phase))

    def dips(depth: float, period: float, half_width: float) -> NDArray:
        distance = np.abs((time - start + phase * period) % period - period / 2)
        return -depth * np.clip(1 - (distance / half_width) ** 2, 0, None)

    cycle = (time / 0.55 + phase) % 1
    single = np.abs(time - start - 3 - 18 * phase) < 0.2
    flares = sum(
        np.where(time > begin, height * np.exp(-np.clip(time - begin, 0, None) / 0.04), 0.0)
        for begin, height in zip(start + 27 * rng.random(5), 0.03 * rng.random(5), strict=True)
    )
    return {
        "constant": np.zeros(N),
        "transits, 1 %": dips(0.01, 3.7, 0.1),
        "single transit, 0.3 %": np.where(single, -0.003, 0.0),
        "eclipses, 85 %": dips(0.85, 2.3, 0.125),
        "eclipses, 5 %": dips(0.05, 5.1, 0.17),
        "RR Lyrae, 60 %": 0.6 * np.where(cycle < 0.15, cycle / 0.15, (1 - cycle) / 0.85),
        "delta Scuti, 0.5 %": 0.005 * wave(0.08) + 0.003 * wave(0.113),
        "spots, 5 d, 1 %": 0.01 * wave(5.0),
        "spots, 9 d, 2 %": 0.02 * wave(9.0),
        "spots, 13 d, 0.5 %": 0.005 * wave(13.0),
        "flares": flares,
    }


def main() -> None:
    """Print, for each kind: corrected stars, and ratios after to before."""
    n_stars = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    found = defaultdict(list)
    for motion in (jitter, drift):
        for strength in STRENGTH:
            for noise in NOISE:
                for seed in range(n_stars):
                    rng = np.random.default_rng([seed, 7])
                    time = 1683.0 + np.arange(N) / 48 + np.where(np.arange(N) >= N // 2, 1.2, 0)
                    row, column = motion(rng, time)
                    first, second, third = strength * rng.standard_normal(3)
                    moved = first * row + second * column + third * row**2
                    for kind, signal in signals(rng, time).items():
                        white = noise * rng.standard_normal(N)
                        key = kind, motion.__name__, strength
                        found[key].append(_one(time, signal, moved, white, row, column))
    header = "corrected", "points, worst", "days", "days, worst", "signal off, worst (%)"
    print(f"{'':44s}" + "".join(f"{text:>23s}" for text in header))
    for (kind, motion_name, strength), rows in found.items():
        values = np.array(rows)
        print(
            f"{kind:24s}{motion_name:9s}{100 * strength:4.0f} %/px "
            f"{int(values[:, 0].sum()):17d}/{len(values)} {values[:, 1].max():22.3f}"
            f"{np.median(values[:, 2]):23.3f}{values[:, 2].max():23.3f}"
            f"{100 * values[:, 3].max():23.2f}",
            flush=True,
        )


def _one(
    time: NDArray, signal: NDArray, moved: NDArray, white: NDArray, row: NDArray, column: NDArray
) -> tuple[float, float, float, float]:
    """Whether it is corrected, ratios of scatter and of daily means, error of the amplitude.

    The last is what the correction adds to that of the flux itself.
    """
    flux = 2000.0 * (1 + signal) * (1 + moved + white)
    good, error = np.ones(N, dtype=bool), np.full(N, 2000.0 * point_scatter(white))
    result = correct_flux(time, flux, error, good, motion_regressors(row, column))
    truth = (1 + signal) / np.median(1 + signal)
    clean = (1 + signal) * (1 + white)
    before, after = flux / np.median(flux), 1 + 1e-6 * result.flux
    ratio = point_scatter(after - truth) / point_scatter(before - truth)
    daily = [np.std(daily_means(time, values - truth)) for values in (before, after)]
    design = np.column_stack([truth, np.ones(N)])
    kept = [
        np.linalg.lstsq(design, values, rcond=None)[0][0] if signal.any() else 1.0
        for values in (clean / np.median(clean), before, after)
    ]
    worse = max(abs(kept[2] - kept[0]) - abs(kept[1] - kept[0]), 0.0)
    return float(result.is_corrected), ratio, daily[1] / daily[0], worse


if __name__ == "__main__":
    main()
