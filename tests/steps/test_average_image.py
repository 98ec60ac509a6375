"""The step of the average image: why there is none."""

import numpy as np
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.steps.average_image import _refuse_none

CCD = CcdId(19, 1, 3)


def test_why_no_image_can_be_averaged_is_counted_by_reason():
    """Bits that do not count as bad say nothing; what has none is too bright."""
    empty, dump = int(CadenceFlag.NO_DATA), int(CadenceFlag.MOMENTUM_DUMP)
    quality = np.array([empty, empty | dump, dump, 2048, 0, 0])
    with pytest.raises(InputDataError, match=r"^s0019-cam1-ccd3: none of its 6 images") as refused:
        _refuse_none(np.zeros(6, dtype=bool), quality, dump, CCD)
    assert str(refused.value).endswith(
        "(reaction wheel desaturation: 2, image missing, unreadable, or without light (tessphot): "
        "2, brighter than prepare.average.max_background: 3)"
    )
    _refuse_none(np.arange(6) == 3, quality, dump, CCD)
