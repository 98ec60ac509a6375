"""Damaged inputs: a clear error or a plausible result, never a bare traceback.

    python tests/fuzz.py --cases 12000 --seed 1      # make fuzz

Small files of each kind that the pipeline reads from outside are changed by a
seeded mutator (bytes, header cards, words, lines, lengths) and read. What is
read in spite of that is checked for shape and range only. In a part of the cases
a single value is changed to another one: then what is read has to be that value
in its place, and all else as before (`fuzz_exact`). In another part the file has
a fault as files have in practice (rows of zeros, errors of 0, sentinels, another
kind or an archive under the name, keys that are there twice, missing rows), of
which it is known what must come (`fuzz_kinds`).
"""

import argparse
import collections
import copy
import gzip
import random
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from astropy.io import fits
from astropy.table import Table

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "helpers")]

from cutout_files import write_cutout
from fuzz_exact import one_value
from fuzz_kinds import known_fault

from tessphot_lib.core.config_check import follow_other_settings, read_values
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.yaml_files import read_yaml
from tessphot_lib.io.images.ffi import read_ffi
from tessphot_lib.io.images.tesscut import read_cutout, read_cutout_pixels
from tessphot_lib.io.images.tpf import read_tpf_cadences
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.io.stars.tic import read_tic
from tessphot_lib.plan.checks import check_config
from tests.io.images.test_ffi import small as small_ffi
from tests.io.images.test_tesscut import CCD as CUTOUT_CCD
from tests.io.images.test_tesscut import WINDOW as CUTOUT_WINDOW
from tests.io.images.test_tesscut import blank_images
from tests.io.images.test_tpf import write_tpf
from tests.io.mission.test_ephemeris import kernel as ephemeris_kernel
from tests.io.mission.test_ephemeris import table as ephemeris_table

CCD_ID = CcdId(14, 2, 3)
WINDOW = Window(3, 20, 2, 14)
TIMES = 1700.0 + np.arange(5) / 10
EXACT_SHARE = 0.3  # of the cases
KNOWN_SHARE = 0.3  # of the cases
MOST_SECONDS = 20  # for one case; the slowest good one takes a tenth of one
WORDS = [
    "",
    "nan",
    "inf",
    "-1",
    "0",
    "1e308",
    "99999999999999999999",
    "T",
    "'x'",
    "null",
    "é",
    "[]",
]


class TooLongError(BaseException):
    """No Exception: nothing that reads a file may take it for damage to the file."""


@contextmanager
def limited(seconds):
    """Raise TooLongError in what takes longer."""

    def stop(*_):
        raise TooLongError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_ffi_here(path):
    exposure = read_ffi(path, CCD_ID, WINDOW)
    assert exposure.flux.shape == exposure.flux_err.shape == WINDOW.shape
    assert exposure.time_start < exposure.time_stop
    assert np.isfinite([exposure.time_start, exposure.time_stop, exposure.timecorr]).all()
    return exposure


def read_tpf_here(path):
    found = read_tpf_cadences(path, CCD_ID)
    assert len({len(one) for one in (found.time, found.cadenceno, found.quality)}) == 1
    return found


def read_cutout_here(path):
    cutout = read_cutout(path, CUTOUT_CCD)
    assert len({len(one) for one in (cutout.name, cutout.time, cutout.quality)}) == 1
    flux, flux_err = read_cutout_pixels(path)
    assert flux.shape == flux_err.shape == (len(cutout.name), *cutout.window.shape)
    return cutout, flux, flux_err


def read_stars(path):
    stars = read_tic(path)
    assert (stars["tic_id"] > 0).all()
    assert stars["ra_j2000"].between(0, 360).all()
    assert stars["dec_j2000"].between(-90, 90).all()
    assert stars["tic_id"].is_unique
    return stars


def read_orbit(path):
    found = read_ephemeris(path, TIMES)
    assert found.position.shape == (len(TIMES), 3)
    assert np.isfinite(found.position).all()
    return found


SCHEMA = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())
DEFAULTS = yaml.safe_load((PROJECT / "config/config.yaml").read_text())


def read_config(path):
    config = read_values(merged(DEFAULTS, read_yaml(path)), SCHEMA)
    follow_other_settings(config)
    check_config(config, SCHEMA)
    return config


def merged(defaults, changes):
    """As Snakemake does it."""
    result = copy.deepcopy(defaults)
    for key, value in changes.items():
        is_section = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if is_section else value
    return result


def samples(folder):
    """One good file of each kind: name to bytes, suffix, and what reads it."""
    stars = Table(
        {
            "ID": [11, 12, 13, 14],
            "ra": [10.5, 359.9, 0.1, 77.0],
            "dec": [-20.0, 45.5, 89.0, -89.5],
            "pmRA": [1.0, 2.5, np.nan, -3.0],
            "pmDEC": [0.0, -2.5, np.nan, 3.0],
            "Tmag": [10.1, 12.5, 14.2, 9.8],
            "Teff": [5000.0, np.nan, 4300.0, 6100.0],
            "disposition": ["", "", "ARTIFACT", ""],
        }
    )
    made = {}
    for suffix, form in ((".csv", "ascii.csv"), (".ecsv", "ascii.ecsv"), (".fits", "fits")):
        path = folder / f"tic{suffix}"
        stars.write(path, format=form)
        made[f"TIC {suffix}"] = path, read_stars
    path = folder / "tic.parquet"
    pd.DataFrame({name: np.asarray(stars[name]) for name in stars.colnames}).to_parquet(path)
    made["TIC .parquet"] = path, read_stars
    name = "tess2019199201929-s0014-2-3-0150-s_ffic.fits"
    made["FFI"] = small_ffi(folder / name), read_ffi_here
    made["target pixel file"] = write_tpf(folder, 7), read_tpf_here
    made["cutout"] = (
        write_cutout(folder, blank_images(4, CUTOUT_WINDOW), CUTOUT_WINDOW),
        read_cutout_here,
    )
    made["ephemeris"] = ephemeris_table(folder), read_orbit
    made["kernel"] = ephemeris_kernel(folder), read_orbit
    path = folder / "config.yaml"
    path.write_text((PROJECT / "config" / "demo.yaml").read_text())
    made["config"] = path, read_config
    for kind in ("FFI", "target pixel file", "cutout"):
        path, read = made[kind]
        packed = folder / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        made[f"{kind} .gz"] = packed, read
    return {kind: (path.read_bytes(), path.name, read) for kind, (path, read) in made.items()}


def mutate(content, draw, is_text):
    """Change a file in one to three ways."""
    content = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        ways = (
            [flip, cut, drop, repeat] + [word, word, lines] * is_text + [card] * 4 * (not is_text)
        )
        content = draw.choice(ways)(content, draw)
    return bytes(content)


def flip(content, draw):
    for _ in range(draw.randint(1, 8) if content else 0):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return content


def cut(content, draw):
    return content[: draw.randrange(len(content) + 1)]


def drop(content, draw):
    start = draw.randrange(len(content) + 1)
    del content[start : start + draw.choice([1, 80, 2880, 300])]
    return content


def repeat(content, draw):
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[max(0, start - draw.choice([1, 80, 2880])) :]


def word(content, draw):
    """Another word in the place of one."""
    words = content.split(b" ") if draw.random() < 0.5 else content.split(b",")
    words[draw.randrange(len(words))] = draw.choice(WORDS).encode()
    return bytearray((b" " if b" " in content else b",").join(words))


def lines(content, draw):
    """A line less, twice, or elsewhere."""
    parts = content.split(b"\n")
    part = parts.pop(draw.randrange(len(parts)))
    for _ in range(draw.randrange(3)):
        parts.insert(draw.randrange(len(parts) + 1), part)
    return bytearray(b"\n".join(parts))


def card(content, draw):
    """Another value in a header card, or no such card."""
    ends = [at for at in range(0, len(content) - 80, 80) if content[at + 8 : at + 10] == b"= "]
    if not ends:
        return content
    at = draw.choice(ends)
    value = draw.choice([*WORDS, "1", "-32", "16", "1E", "'1E'", "'BINTABLE'", "2136", "1683.36"])
    if draw.random() < 0.2:
        content[at : at + 8] = b"XXXXXXXX"
    else:
        content[at + 10 : at + 80] = f"{value:>20}".encode("ascii", "replace").ljust(70)
    return content


class Case(NamedTuple):
    """A changed file, and what must come of it."""

    content: bytes
    how: str
    check: Callable | None = None  # takes what was read; None: anything plausible
    refused: str | None = None  # it must be refused, with this in the message
    may_refuse: bool = True


def make_case(kind, content, good, others, draw, *, is_text, is_whole):
    """Change a file in one of the three manners; ``is_whole``: no sum of gzip is in the way."""
    what, chance = kind.removesuffix(" .gz"), draw.random()
    if chance > 1 - KNOWN_SHARE and is_whole:
        name, fault = known_fault(what, content, good, others, draw)
        return Case(fault.content, name, fault.check, fault.refused, fault.may_refuse)
    if chance < EXACT_SHARE and is_whole:
        changed, check = one_value(what, content, good, draw)
        if changed is not None:
            return Case(changed, "one value", check)
    return Case(mutate(content, draw, is_text), "damage")


def judge(case, path, read):
    """Read a changed file; returns how it ended. What must not happen is an exception."""
    try:
        with limited(MOST_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            result = read(path)
    except TessphotError as error:
        said = str(error)
        assert path.name in said or path.suffix == ".yaml", f"no name: {said}"
        assert case.may_refuse or case.refused is not None, f"refused: {said}"
        assert case.refused is None or case.refused in said, f"not {case.refused!r}: {said}"
        return "told"
    assert case.refused is None, "not refused"
    if case.check is not None:
        case.check(result)
        return "exactly that"
    return "result"


def fuzz(cases, seed):
    """Read changed files; returns counts of how it ended, and what must not happen."""
    ended, failures = collections.Counter(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = samples(folder)
        others = {kind: content for kind, (content, _, _) in known.items()}
        good = {kind: read(folder / name) for kind, (_, name, read) in known.items()}
        for number in range(cases):
            draw = random.Random(f"{seed} {number}")
            kind = draw.choice(sorted(known))
            content, file_name, read = known[kind]
            is_text = file_name.endswith((".csv", ".ecsv", ".txt", ".yaml"))
            path = folder / "changed" / file_name
            path.parent.mkdir(exist_ok=True)
            is_packed = file_name.endswith(".gz") and draw.random() < 0.7
            if is_packed:  # the sum of gzip would tell of any damage
                content = gzip.decompress(content)
            is_whole = is_packed == file_name.endswith(".gz")
            about = {"is_text": is_text, "is_whole": is_whole}
            case = make_case(kind, content, good[kind], others, draw, **about)
            packed = gzip.compress(case.content, 1, mtime=0) if is_packed else case.content
            path.write_bytes(packed)
            try:
                ended[kind, case.how, judge(case, path, read)] += 1
            except (Exception, TooLongError) as error:  # noqa: BLE001  (what is looked for)
                where = traceback.extract_tb(error.__traceback__)
                ours = [f"{at.filename.rsplit('/', 1)[-1]}:{at.name}" for at in where][-4:]
                what = (kind, case.how, type(error).__name__, *ours)
                failures.setdefault(what, (number, str(error)[:200]))
    return ended, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ended, failures = fuzz(arguments.cases, arguments.seed)
    for (kind, fault, how), number in sorted(ended.items()):
        print(f"{kind:22} {fault:24} {how:13} {number}")
    for what, (case, said) in failures.items():
        print(f"FAILED case {case} {what}: {said}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
