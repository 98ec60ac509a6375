"""The step of the average image: why there is none."""

import numpy as np

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.steps.average_image import _none_averaged

CCD = CcdId(19, 1, 3)


def test_why_no_image_can_be_averaged_is_counted_by_reason():
    """Bits that do not count as bad say nothing; what has none is too bright, or displaced."""
    empty, dump = int(CadenceFlag.NO_DATA), int(CadenceFlag.MOMENTUM_DUMP)
    quality = np.array([empty, empty | dump, dump, 2048, 0, 0])
    is_dark = np.array([False, True, True, False, True, False])
    error = _none_averaged(CCD, quality, dump, is_dark)
    assert isinstance(error, InputDataError)
    assert str(error) == (
        "s0019-cam1-ccd3: none of its 6 images can be averaged (reaction wheel desaturation: 2, "
        "image missing, unreadable, or without light (tessphot): 2, brighter than "
        "prepare.average.max_background: 2, stars displaced against the other images: 1)"
    )
