"""A film of a CCD, or of a part of it: original, background, and what is left, over time."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_UNIX, SECONDS_PER_DAY
from tessphot_lib.core.errors import ConfigError, InputDataError, OutputError
from tessphot_lib.core.flags import CadenceFlag, PixelFlag, describe
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.report.cropped import cropped

FORMATS = (".mp4", ".gif", ".webp")
PANELS = ("image", "background", "image - background")
PANEL = 480  # [screen pixels] sides of panels are at least this, small stamps are enlarged
MAX_PANEL = 1024  # larger images are reduced by averaging pixels
CAPTION = 44  # [screen pixels] height of the lines below the panels
N_SAMPLED = 12  # images from which the brightness scales come
SOFTENING = 30.0  # asinh stretch: linear up to 1/30 of the scale
FLAG_COLOR = (214, 39, 40)
BACKGROUND_COLOR, TEXT_COLOR = (255, 255, 255), (29, 39, 51)
FLAGGED = int(PixelFlag.BACKGROUND_ANOMALY | PixelFlag.MANUAL_EXCLUDE)
# Each frame of a GIF has its own 256 colors: the whole film need not be known before.
PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none"
CODECS = {".mp4": "libx264", ".gif": "gif", ".webp": "libwebp_anim"}


@dataclass(frozen=True)
class Scale:
    """Brightness that is shown black and white, the same over the whole film [e-/s]."""

    low: float
    high: float

    @classmethod
    def of(cls, images: Sequence[NDArray]) -> "Scale":
        """From the 1st and the 99.7th percentile of sampled images; 0 to 1 without a value."""
        values = np.concatenate([image[np.isfinite(image)] for image in images])
        if not values.size:
            return cls(0.0, 1.0)
        low, high = np.percentile(values, [1, 99.7])
        return cls(float(low), float(max(high, low + 1e-6)))

    def shades(self, image: NDArray) -> NDArray:
        """Stretch by asinh; faint is white. NaN pixels are light gray. uint8, same shape."""
        relative = np.clip((image - self.low) / (self.high - self.low), 0, 1)
        stretched = np.arcsinh(relative * SOFTENING) / np.arcsinh(SOFTENING)
        return np.where(np.isfinite(image), 255 * (1 - stretched), 224).astype(np.uint8)


def write_movie(
    output: Path,
    pixels: Sequence[Path],
    *,
    window: Window | None = None,
    fps: float = 12.0,
    step: int = 1,
) -> int:
    """Write a film.

    Of one CCD it shows each image, its background, and their difference with flagged pixels
    in red. Of several CCDs it shows their images side by side, one row per camera; images of
    one cadence number belong together.

    Parameters
    ----------
    output : Path
        Its suffix is one of `FORMATS`.
    pixels : sequence of Path
        ``pixels.hdf5`` of each CCD.
    window : Window, optional
        Only these pixels; needs a single CCD.
    fps : float
        Frames per second.
    step : int
        Every how many images one is shown.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    ConfigError
        If the format is unknown, ``fps`` or ``step`` is not positive, the cadences of several
        CCDs differ, or there is no ffmpeg.
    InputDataError
        If a cube cannot be read, or has no image.
    OutputError
        If ffmpeg fails; with what it says.

    Notes
    -----
    Frames go to ffmpeg one by one: memory does not depend on the length of the film.
    """
    suffix = output.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(f"{output}: a film's name ends in one of {', '.join(FORMATS)}")
    if not (fps > 0 and step >= 1):
        raise ConfigError(f"fps is {fps} and step {step}: both must be positive")
    if window is not None and len(pixels) > 1:
        raise ConfigError("a part of the pixels can only be shown of a single CCD; name it")
    with ExitStack() as stack:
        cubes = [stack.enter_context(PixelCube(path)) for path in pixels]
        if len({cube.ccd_id.cadence for cube in cubes}) > 1:
            names = ", ".join(str(cube.ccd_id) for cube in cubes)
            raise ConfigError(f"{names}: only CCDs of one cadence can be shown side by side")
        if len(cubes) == 1:
            frames = _frames_of_ccd(cubes[0], window or _filled(cubes[0]), step)
        else:
            frames = _frames_of_mosaic(cubes, step)
        with complete_file(output) as partial:
            return _encode(partial, frames, suffix, fps, output)


def _filled(cube: PixelCube) -> Window:
    """The part of the window that has pixels at all."""
    return cropped(cube.average_image(), cube.window)[1]


def _frames_of_ccd(cube: PixelCube, window: Window, step: int) -> Iterator[NDArray]:
    """Three panels and a caption for each image."""
    sampled = _sampled(cube, window)
    scales = [Scale.of([parts[n] for parts in sampled]) for n in range(len(PANELS))]
    for index in range(0, cube.n_cadences, step):
        *images, flags = _parts(cube, window, index)
        panels = [_panel(scale.shades(image)) for scale, image in zip(scales, images, strict=True)]
        _mark(panels[-1], _panel((flags & FLAGGED != 0).astype(np.uint8)) > 0)
        yield _frame([panels], _caption(cube, index), names=PANELS)


def _frames_of_mosaic(cubes: Sequence[PixelCube], step: int) -> Iterator[NDArray]:
    """The images of several CCDs side by side."""
    windows = [_filled(cube) for cube in cubes]
    scale = Scale.of(
        [
            parts[0]
            for cube, window in zip(cubes, windows, strict=True)
            for parts in _sampled(cube, window)[:3]
        ]
    )
    rows: dict[tuple[int, int], list[int]] = {}
    for n, cube in enumerate(cubes):
        rows.setdefault((cube.ccd_id.sector, cube.ccd_id.camera), []).append(n)
    side = max(PANEL // 2, MAX_PANEL // max(len(row) for row in rows.values()))
    names = [_short(cubes[n].ccd_id) for row in rows.values() for n in row]
    cadences = sorted(set().union(*(set(cube.cadenceno.tolist()) for cube in cubes)))
    where = [{int(number): at for at, number in enumerate(cube.cadenceno)} for cube in cubes]
    for number in cadences[::step]:
        lines, captions = [], []
        for row in rows.values():
            line = []
            for n in row:
                index = where[n].get(number)
                if index is None:
                    line.append(np.full((side, side, 3), 224, np.uint8))
                    continue
                image = cubes[n].read("flux", windows[n], slice(index, index + 1))[0]
                cubes[n].close_blocks()
                line.append(_panel(scale.shades(image), side, exactly=True))
                captions = captions or _caption(cubes[n], index)
            lines.append(line)
        yield _frame(lines, captions, names=names)


def _short(ccd_id: CcdId) -> str:
    text = f"camera {ccd_id.camera}, CCD {ccd_id.ccd}"
    return f"{text}, {ccd_id.cadence} s" if ccd_id.has_stamps else text


def _sampled(cube: PixelCube, window: Window) -> list[tuple[NDArray, NDArray, NDArray]]:
    """Some images, from good ones if there are any, with background and difference."""
    good = np.flatnonzero(cube.is_good())
    usable = good if len(good) else np.arange(cube.n_cadences)
    if not len(usable):
        raise InputDataError(f"{cube.path}: there is no image to show")
    chosen = usable[:: max(1, len(usable) // N_SAMPLED)][:N_SAMPLED]
    return [_parts(cube, window, int(index))[:3] for index in chosen]


def _parts(
    cube: PixelCube, window: Window, index: int
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Image, background, difference [e-/s], and bits of `PixelFlag`."""
    cadence = slice(index, index + 1)
    image = cube.read("flux", window, cadence)[0].astype(float)
    background = cube.background_in(window, cadence)[0]
    return image, background, image - background, cube.flags(window, cadence)[0]


def _panel(shades: NDArray, side: int = PANEL, *, exactly: bool = False) -> NDArray:
    """Enlarge or reduce an image by a whole factor, first row at the bottom; (rows, columns, 3).

    With ``exactly`` the result is cut or filled to ``side`` in both directions.
    """
    larger = max(shades.shape)
    if larger > (side if exactly else MAX_PANEL):
        factor = -(-larger // (side if exactly else MAX_PANEL))
        rows, columns = (size // factor * factor for size in shades.shape)
        cells = shades[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
        shades = cells.mean(axis=(1, 3)).round().astype(np.uint8)
    else:
        factor = max(1, round(side / larger))
        shades = shades.repeat(factor, axis=0).repeat(factor, axis=1)
    if exactly:
        filled = np.full((side, side), 255, np.uint8)
        filled[: shades.shape[0], : shades.shape[1]] = shades[:side, :side]
        shades = filled
    return np.repeat(shades[::-1, :, None], 3, axis=2)


def _mark(panel: NDArray, where: NDArray) -> None:
    """Tint pixels in place."""
    chosen = where[..., 0]
    panel[chosen] = (0.5 * panel[chosen] + 0.5 * np.array(FLAG_COLOR)).astype(np.uint8)


def _frame(
    lines: Sequence[Sequence[NDArray]], captions: Sequence[str], names: Sequence[str]
) -> NDArray:
    """Put panels side by side, lines below each other, and a caption at the bottom."""
    from PIL import Image, ImageDraw

    gap = 4
    height = max(panel.shape[0] for line in lines for panel in line)
    width = max(sum(panel.shape[1] + gap for panel in line) for line in lines)
    total = (len(lines) * (height + CAPTION // 2) + CAPTION + 1) // 2 * 2  # even, for codecs
    canvas = Image.new("RGB", ((width + 1) // 2 * 2, total), BACKGROUND_COLOR)
    draw = ImageDraw.Draw(canvas)
    names = iter(names)
    for n, line in enumerate(lines):
        top, left = n * (height + CAPTION // 2), 0
        for panel in line:
            draw.text((left + 4, top + 4), next(names, ""), fill=TEXT_COLOR)
            canvas.paste(Image.fromarray(panel), (left, top + CAPTION // 2))
            left += panel.shape[1] + gap
    for n, text in enumerate(captions):
        draw.text((4, total - CAPTION + 4 + 18 * n), text, fill=TEXT_COLOR)
    return np.asarray(canvas)


def _caption(cube: PixelCube, index: int) -> list[str]:
    """Time, cadence number and flags of an image."""
    time, quality = float(cube.time[index]), int(cube.quality[index])
    utc = np.datetime64(round((time - BTJD_UNIX) * SECONDS_PER_DAY), "s") if time == time else "?"
    flags = [text for bit, text in describe(CadenceFlag).items() if quality & bit]
    return [
        f"{cube.ccd_id}   BTJD {time:.4f} ({utc})   cadence {cube.cadenceno[index]}",
        ", ".join(flags).replace(" (tessphot)", "") or "no flag",
    ]


def _encode(path: Path, frames: Iterator[NDArray], suffix: str, fps: float, name: Path) -> int:
    """Hand frames to ffmpeg; return how many there were. ``name`` is what errors call the film."""
    first = next(frames)
    n_frames, is_cut_short = 0, False
    with tempfile.TemporaryFile() as said:
        command = _ffmpeg(path, (first.shape[1], first.shape[0]), suffix, fps)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        ) as process:
            try:
                for frame in chain([first], frames):
                    process.stdin.write(np.ascontiguousarray(frame))
                    n_frames += 1
                process.stdin.flush()
            except BrokenPipeError:
                is_cut_short = True  # ffmpeg has ended, and said why
            except BaseException:
                process.kill()
                raise
            finally:
                with suppress(BrokenPipeError):  # of what could not be flushed
                    process.stdin.close()
        if process.returncode or is_cut_short:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {process.returncode}"
            raise OutputError(f"{name}: cannot be written: ffmpeg: {why}")
    return n_frames


def _ffmpeg(path: Path, size: tuple[int, int], suffix: str, fps: float) -> list[str]:
    """The command that makes a film of frames that it gets as bytes, (width, height) large."""
    import imageio_ffmpeg  # heavy

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ConfigError(f"films need the program ffmpeg: {error}") from error
    options = {
        ".mp4": ["-crf", "20"],
        ".gif": ["-loop", "0", "-filter_complex", PALETTE],
        ".webp": ["-loop", "0", "-quality", "80"],
    }
    pixels = "pal8" if suffix == ".gif" else "yuv420p"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*size), "-r", f"{fps:g}"]
    made = ["-an", "-vcodec", CODECS[suffix], "-pix_fmt", pixels, *options[suffix]]
    made += ["-f", suffix[1:], f"file:{path}"]
    return [program, "-y", "-v", "error", *given, "-i", "-", *made]
