import numpy as np
import pytest
from scipy.signal import fftconvolve

from tessphot_lib.core.convolution import fft_convolve


@pytest.mark.parametrize("mode", ["same", "valid"])
@pytest.mark.parametrize("shapes", [((9, 14), (4, 3)), ((61, 40), (21, 21)), ((5, 5), (5, 5))])
def test_it_is_scipys_to_the_last_bit(mode, shapes):
    rng = np.random.default_rng(1)
    image, kernel = (rng.normal(size=shape) for shape in shapes)
    np.testing.assert_array_equal(
        fft_convolve(image, kernel, mode), fftconvolve(image, kernel, mode=mode)
    )


def test_a_point_becomes_the_kernel():
    image, kernel = np.zeros((7, 9)), np.arange(15.0).reshape(3, 5)
    image[2, 5] = 2.0
    expected = np.zeros_like(image)
    expected[1:4, 3:8] = 2 * kernel
    np.testing.assert_allclose(fft_convolve(image, kernel, "same"), expected, atol=1e-12)
