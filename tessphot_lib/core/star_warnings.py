"""What the column ``errors`` of the diagnostics says about single stars."""

# Warnings: the star was measured. Downstream packages search for the first two texts.
MINIMUM_APERTURE = "Using minimum aperture."
SWITCHED_TO_HALO = "Automatically switched to Halo photometry"
LIMITED_APERTURE = "Aperture truncated by missing pixels or by the edge of the data."
UNKNOWN_LIGHT = (
    "Aperture contains much more flux than the catalog predicts: is a neighbor missing there?"
)
LISTED_TWICE = "The list has this star twice, also as TIC {}: measured as one."
ABSENT_LIGHT = (
    "The image does not show the light that the list predicts: a wrong magnitude or position?"
)
OTHER_MAGNITUDE = "The image shows a star {} mag {} than in the list, which is believed."
OTHER_POSITION = "The image shows the star {} pixels from its position in the list."
UNLISTED_LIGHT = "Light in the aperture is of a source that the list lacks, see unlisted.ecsv."
BACKGROUND_LEFT = (
    "The background of the target pixel file is not right: {} e-/s per pixel are left between "
    "the stars."
)
RUGGED_LIGHT = (
    "The light of a nebula, galaxy or cluster changes within a few pixels of the star: the mean "
    "flux may be off by {:.0f} %."
)
NO_HALO = "No halo photometry ({}): measured by its aperture instead."
NO_FIT = (
    "No PRF fit (the charge of another star is in the pixels around): measured by its aperture "
    "instead."
)
TOO_FEW_PIXELS = "{} usable pixels, at least {} are needed"
TOO_FEW_IMAGES = "{} good images with all pixels, at least {} are needed"
BLENDED_FIT = "PRF fit: too faint or too blended for a flux independent of its neighbors'."
SATURATED_FIT = "PRF fit of a saturated star: its flux is not reliable."
FAINT_FIT = "PRF fit: much less flux than the catalog magnitude predicts."
NEGATIVE_FLUX = "Mean flux is not positive: numbers relative to it say little."

# Failures: there is no light curve.
NO_PIXELS = "No usable pixel at the position of the star."
UNDER_CHARGE = (
    "No PRF fit: the charge of a saturated star is in the pixels around (method aperture sums "
    "them all the same)."
)
NO_GOOD_CADENCE = "No good cadence with valid flux in all pixels of the aperture."
NO_NUMBERS = "{} with valid flux, median {:g} e-/s: {} cannot be computed."
NO_ERRORS = (
    "{} with valid flux, median {:g} e-/s, but none with an error above 0: {} cannot be computed."
)
UNEXPECTED = "Traceback: "  # begins the text of a star on which the code itself failed
