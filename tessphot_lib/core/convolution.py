"""Convolution of images by the Fourier transform.

The same as `scipy.signal.fftconvolve`, to the last bit, for real images: that module
takes 0.3 s to import, with all of `scipy.stats`.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import scipy
from numpy.typing import NDArray


def fft_convolve(image: NDArray, kernel: NDArray, mode: Literal["same", "valid"]) -> NDArray:
    """Convolve two real images.

    Parameters
    ----------
    image : (n_rows, n_columns) array
    kernel : (m_rows, m_columns) array
        Not larger than the image.
    mode : {'same', 'valid'}
        Whether the result has the shape of the image, what lies outside counting as zero, or
        only the pixels that the kernel reaches from inside the image.

    Returns
    -------
    (n_rows, n_columns) or (n_rows - m_rows + 1, n_columns - m_columns + 1) float64 array
    """
    return next(fft_convolutions(image, [kernel], mode))


def fft_convolutions(
    image: NDArray, kernels: Sequence[NDArray], mode: Literal["same", "valid"]
) -> Iterator[NDArray]:
    """Convolve an image, which is transformed once, with kernels of one shape: `fft_convolve`."""
    size = kernels[0].shape
    shape = tuple(n + m - 1 for n, m in zip(image.shape, size, strict=True))
    fast = tuple(scipy.fft.next_fast_len(n, real=True) for n in shape)
    wanted = image.shape
    if mode == "valid":
        wanted = tuple(n - m + 1 for n, m in zip(image.shape, size, strict=True))
    start = [(n - m) // 2 for n, m in zip(shape, wanted, strict=True)]
    cut = tuple(slice(first, first + n) for first, n in zip(start, wanted, strict=True))
    transformed = scipy.fft.rfftn(image, fast)
    for kernel in kernels:
        product = transformed * scipy.fft.rfftn(kernel, fast)
        yield scipy.fft.irfftn(product, fast)[cut].copy()
