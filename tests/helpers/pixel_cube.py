"""A small ``pixels.hdf5`` made of arrays."""

import json
from dataclasses import replace

import numpy as np
from images_block import CCD, write_images_block

from tessphot_lib.core.mesh import Mesh
from tessphot_lib.io.products.block_hdf5 import read_identity
from tessphot_lib.io.products.pixels_hdf5 import PER_IMAGE, PixelCube
from tessphot_lib.io.products.pixels_writer import BlockIdentity, write_pixels


def open_cube(folder, window, flux, **more):
    """Write the cube of some images, and open it.

    ``flux`` is (n_images, n_rows, n_columns), sky included. ``more`` are `PER_IMAGE`
    arrays, ``flux_err`` (or a number), ``pixel_flags``, ``sky`` (n_images,), ``sky_error``,
    ``average_image``, ``is_averaged``, ``static_light``, ``patches`` and ``attributes``.
    """
    n_images, patches = len(flux), more.pop("patches", None)
    mesh = replace(Mesh.over(window, 64), static_light=more.pop("static_light", None))
    cells = mesh.shape if patches is None else (len(patches.windows),)
    numbers = np.arange(n_images)
    of_pixels = {key: more.pop(key) for key in ("flux_err", "pixel_flags") if key in more}
    block = write_images_block(folder / "block.hdf5", window, flux, **of_pixels)
    identity = read_identity(block)
    names = ("name", "size", "digest", "n_images")
    level = np.broadcast_to(more.pop("sky", 0.0), n_images).astype(float)
    error = np.broadcast_to(more.pop("sky_error", 0.0), n_images).astype(float)
    images = {name: np.zeros(n_images) for name in PER_IMAGE}
    images |= {"time": 1683.0 + numbers / 48, "cadenceno": numbers + 100}
    images |= {"quality": np.zeros(n_images, dtype=np.int64), "motion": np.zeros((n_images, 6))}
    images |= {"observatory_position": np.zeros((n_images, 3)), "background_level": level}
    of_cells = (slice(None), *[None] * len(cells))
    images["background"] = level[of_cells] + np.zeros((n_images, *cells))
    images["background_error"] = error[of_cells] + np.zeros((n_images, *cells))
    if patches is not None:
        images["background"] = images["background"][..., None]  # one term each
    average = more.pop("average_image", np.asarray(flux - level[:, None, None]).mean(axis=0))
    attributes = {"bad_quality": 4335, "mask_radius_scale": 1.0, "cadence_seconds": 1800.0}
    attributes["settings"] = json.dumps({"flags": {"straylight_factor": 5.0}})
    attributes |= more.pop("attributes", {})
    is_averaged = more.pop("is_averaged", None)
    assert set(more) <= set(images), set(more) - set(images)
    write_pixels(
        folder / "pixels.hdf5",
        CCD,
        window,
        blocks=[block],
        identities=[BlockIdentity(**{name: identity[name] for name in names})],
        images=images | more,
        names=np.array([f"image{number}" for number in numbers]),
        average_image=average,
        average_count=np.full(window.shape, n_images, dtype=np.int32),
        grid=mesh if patches is None else patches,
        is_averaged=is_averaged,
        attributes=attributes,
    )
    return PixelCube(folder / "pixels.hdf5")
