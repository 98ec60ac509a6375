"""What libraries raise on files that are damaged."""

import zlib

from astropy.io import fits

# Found by damaging files at random (make fuzz): a header whose cards contradict each other, or
# hold text where a number is meant, gives any of these, not only what the libraries document.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    fits.VerifyError,
    zlib.error,
)
