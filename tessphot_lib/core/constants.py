"""Constants of the instrument and of the products, with unit and source."""

SCIENCE_ROWS = 2048  # [pixels] rows of one CCD that see the sky
SCIENCE_COLUMNS = 2048  # [pixels]
FFI_SHAPE = (2078, 2136)  # (rows, columns) of a calibrated full-frame image, collateral included
FIRST_SCIENCE_COLUMN = 44  # zero-based column of the FFI where the science pixels begin
PIXEL_SCALE = 21.0  # [arcsec] on average; 20.5-21.3 over the field
PIXEL_SCALE_DEG = PIXEL_SCALE / 3600  # [deg]

BTJD_OFFSET = 2457000.0  # [d] BTJD = BJD_TDB - 2457000
BTJD_UNIX = 2440587.5 - BTJD_OFFSET  # [d] BTJD of the Unix epoch
SECONDS_PER_DAY = 86400.0
# [d] of target pixel files that count as the reference, as long as an image: a short cadence
# has more jitter.
REFERENCE_SPAN = 1800 / SECONDS_PER_DAY
HOURS_PER_DAY = 24.0
DAYS_PER_YEAR = 365.25
SPEED_OF_LIGHT_AU_PER_DAY = 173.1446326846693
SPEED_OF_LIGHT_KM_PER_S = 299792.458

TMAG_ZEROPOINT = 20.44  # [mag] Tmag of a star that gives 1 e-/s (Sullivan et al. 2015; Handbook)
ZEROPOINT_ERROR = 0.05  # [mag] of the zero point where no star tells
ZEROPOINT_WARNING = 0.1  # [mag] off the mission's, from which it is told
SATURATION_TMAG = 6.8  # stars brighter than this bleed along columns
FILLS_PIXEL_TMAG = 8.2  # fainter stars do not fill a pixel as far as `BLEED_SHARE`
READ_NOISE = 9.0  # [e-] per pixel and 2-s frame; 7-11 in the headers
FRAME_TIME = 2.0  # [s] one read-out
N_CAMERAS = 4
N_CCDS = 4

# Standard deviation of a normal distribution in units of its median absolute deviation. The
# rounded one is what noises and thresholds have been computed with: products stay the same.
MAD_TO_SIGMA = 1.482602218505602
ROUNDED_MAD_TO_SIGMA = 1.4826
SECOND_DIFFERENCE = 6.0  # variance of x[i-1] - 2 x[i] + x[i+1] for white noise of variance 1
