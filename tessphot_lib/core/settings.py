"""All settings: names, types, units, defaults, ranges and meanings, in one place.

``make config`` writes ``config/config.yaml``, the schema of the workflow and the tables of
``config/README.md`` from these classes; a test holds them equal. A new setting is a field here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tessphot_lib.core.sectors import MAX_SECTOR
from tessphot_lib.core.settings_base import Settings, section, setting
from tessphot_lib.core.simulation_settings import SimulationSettings

TMAG: dict[str, Any] = {"unit": "Tmag", "minimum": -5, "maximum": 30}
PATH_OR_NULL: dict[str, Any] = {"minLength": 1}
SERVER: dict[str, Any] = {
    "pattern": r"^https?://[^/\s]+$",
    "$comment": "must be an address like https://mast.stsci.edu, without a path",
}
NO_BRACES: dict[str, Any] = {
    "minLength": 1,
    "maxLength": 60,
    "pattern": "^[^{}]*$",
    "$comment": "must not hold braces",
}
CARD_TEXT: dict[str, Any] = {
    "minLength": 1,
    "maxLength": 68,
    "pattern": "^[ -~]*$",
    "$comment": "must fit into one line of a FITS header: plain ASCII, 68 at most",
}
HLSP_NAME: dict[str, Any] = {
    "pattern": "^[a-z0-9][a-z0-9-]{0,19}$",
    "$comment": "must be of small letters, digits and hyphens, 20 at most",
}
FOUR: dict[str, Any] = {
    "items": {"minimum": 1, "maximum": 4},
    "minItems": 1,
    "uniqueItems": True,
}


@dataclass(frozen=True, slots=True, repr=False)
class CutoutSettings(Settings):
    """``input.cutouts``: what is downloaded from TESScut."""

    targets: list[int | list[float]] | str = setting(
        [],
        "TIC numbers, or [ra, dec] [deg], or a file of them; empty: nothing is downloaded",
        items={"minimum": 1, "items": {}, "minItems": 2, "maxItems": 2},
        uniqueItems=True,
        minLength=1,
    )
    size: int = setting(15, "rows and columns of each cutout", unit="pixels", minimum=3, maximum=99)


@dataclass(frozen=True, slots=True, repr=False)
class TpfSettings(Settings):
    """``input.tpfs``: target pixel files that are downloaded from MAST."""

    targets: list[int] | str = setting(
        [],
        "TIC numbers, or a file of them; empty: nothing is downloaded",
        items={"minimum": 1, "maximum": 99_999_999_999},
        uniqueItems=True,
        minLength=1,
    )
    cadences: list[int] = setting(
        [120],
        "which files to download",
        unit="s",
        items={"enum": [20, 120]},
        minItems=1,
        uniqueItems=True,
    )


@dataclass(frozen=True, slots=True, repr=False)
class ServerSettings(Settings):
    """``input.mast.servers``: addresses, other ones for mirrors and tests."""

    cloud: str = setting(
        "https://s3.amazonaws.com", "S3 server with the bucket stpubdata", **SERVER
    )
    archive: str = setting("https://archive.stsci.edu", "lists of images", **SERVER)
    mast: str = setting(
        "https://mast.stsci.edu", "images, cutouts, names, coordinates of TIC stars", **SERVER
    )
    gaia: str = setting("https://gea.esac.esa.int", "stars of Gaia DR3", **SERVER)


@dataclass(frozen=True, slots=True, repr=False)
class MastSettings(Settings):
    """``input.mast``: how images and cutouts are downloaded."""

    from_: str = setting(
        "cloud", choices={"cloud": "MAST's public bucket at Amazon", "https": "MAST's own servers"}
    )
    time_range: list[float] | None = setting(
        None,
        "[first, last]: only images that begin in this interval; null: all",
        unit="BTJD",
        minItems=2,
        maxItems=2,
    )
    connections: int = setting(
        4, "simultaneous downloads in each of at most two jobs", minimum=1, maximum=16
    )
    retries: int = setting(
        5, "attempts after a failure that may be temporary", minimum=0, maximum=100
    )
    pause: float = setting(
        1.0,
        "before the first retry; doubled for each further one",
        unit="s",
        minimum=0,
        maximum=3600,
    )
    timeout: float = setting(
        60.0, "how long a server may be silent", unit="s", exclusiveMinimum=0, maximum=3600
    )
    checksum: bool = setting(True, "false: only the sizes of files are checked")
    servers: ServerSettings = section(ServerSettings, "other addresses for mirrors and tests")


@dataclass(frozen=True, slots=True, repr=False)
class InputSettings(Settings):
    """``input``: the images."""

    source: str = setting(
        "ffi",
        choices={
            "ffi": "images in ffi_dir",
            "simulated": "",
            "tesscut": "cutouts",
            "mast": "images from MAST",
        },
    )
    datasources: list[str] = setting(
        ["ffi"],
        "what is measured: ffi, the images of `source`; tpf, target pixel files in tpf_dir",
        items={"enum": ["ffi", "tpf"]},
        minItems=1,
        uniqueItems=True,
    )
    ffi_dir: str | None = setting(
        None,
        "folder of images, with all its sub-folders; null: $TESSPHOT_INPUT, or data/ffi",
        **PATH_OR_NULL,
    )
    cutout_dir: str | None = setting(
        None, "folder of cutouts made by TESScut, for source: tesscut", **PATH_OR_NULL
    )
    cutouts: CutoutSettings = section(CutoutSettings, "cutouts to download from TESScut")
    window: list[int] | None = setting(
        None,
        "[row0, row1, column0, column1]: part of each CCD to use; null: all",
        unit="science pixels",
        minItems=4,
        maxItems=4,
    )
    tpf_dir: str | None = setting(
        None,
        "folder of target pixel files; images get quality bits from them, too",
        **PATH_OR_NULL,
    )
    tpfs: TpfSettings = section(TpfSettings, "target pixel files to download from MAST to tpf_dir")
    on_bad_image: str = setting(
        "error",
        choices={
            "error": "stop at an unreadable image or file",
            "skip": "leave it out, and list it",
        },
    )
    keep_ffis: bool = setting(
        True, "false: delete simulated and downloaded images once they have been read"
    )
    mast: MastSettings = section(MastSettings, "how to download images and cutouts")


@dataclass(frozen=True, slots=True, repr=False)
class CatalogSettings(Settings):
    """``catalog``: the stars on and around the CCDs."""

    source: str = setting(
        "mast",
        choices={
            "file": "read from `file`",
            "simulated": "",
            "mast": "download from MAST",
            "vizier": "from VizieR",
        },
    )
    file: str | None = setting(
        None,
        "CSV, ECSV, FITS, VOTable or Parquet with the TIC's columns of MAST or VizieR",
        **PATH_OR_NULL,
    )
    footprint: str = setting(
        "image",
        choices={
            "image": "sky to download by the WCS of an image",
            "pointing": "by the pointing of the sector",
        },
    )
    cache: str | None = setting(
        None, "folder for downloaded stars; null: tessphot in the user's cache", **PATH_OR_NULL
    )
    buffer: float = setting(
        0.2, "margin around the CCD within which stars are kept", unit="deg", minimum=0, maximum=5
    )
    faint_limit: float = setting(18.0, "fainter stars are ignored, also as neighbors", **TMAG)


@dataclass(frozen=True, slots=True, repr=False)
class BackgroundSettings(Settings):
    """``prepare.background``: diffuse light of one image."""

    box_size: int = setting(64, "side of the mesh cells", unit="pixels", minimum=8, maximum=1024)
    mask_radius_scale: float = setting(
        1.0, "factor on the radius of the masks over stars", exclusiveMinimum=0
    )
    reflection_limit: float = setting(
        1.0,
        "change against the average image, neither sky nor star, that is flagged as foreign "
        "light; at least 2 sigma of a pixel",
        unit="e-/s per pixel",
        was="anomaly_limit",
        exclusiveMinimum=0,
    )


@dataclass(frozen=True, slots=True, repr=False)
class SmoothingSettings(Settings):
    """``prepare.smoothing``: backgrounds of neighboring images are averaged."""

    hours: float = setting(
        1.5, "full width in time over which backgrounds are averaged; 0: none", unit="h", minimum=0
    )


@dataclass(frozen=True, slots=True, repr=False)
class FlagSettings(Settings):
    """``prepare.flags``: images that are flagged for what their pixels show."""

    straylight_factor: float = setting(
        5.0,
        "ratio of the background to the quiet sky above which it is stray light",
        exclusiveMinimum=1,
    )
    motion_limit: float = setting(
        0.06,
        "displacement from neighboring images flagged as coarse pointing",
        unit="pixels",
        exclusiveMinimum=0,
    )
    offset_limit: float = setting(
        0.3,
        "displacement from the median of the sector above which an image is flagged; full-frame "
        "images that are displaced for hours are read from there instead",
        unit="pixels",
        exclusiveMinimum=0,
    )
    light_limit: float = setting(
        0.01,
        "relative change of the light of all stars against neighboring images above which an "
        "image is flagged; against the whole sector 5 times as much",
        exclusiveMinimum=0,
    )
    sharpness_limit: float = setting(
        0.012,
        "the same for the fraction of their light in the cores of the stars",
        exclusiveMinimum=0,
    )


@dataclass(frozen=True, slots=True, repr=False)
class AverageSettings(Settings):
    """``prepare.average``: images that the average image is made from."""

    max_background: float = setting(
        1000.0,
        "images with a brighter background are not averaged",
        unit="e-/s per pixel",
        exclusiveMinimum=0,
    )


@dataclass(frozen=True, slots=True, repr=False)
class MotionSettings(Settings):
    """``prepare.motion``: the stars that the image motion is measured with."""

    n_stars: int = setting(2000, "maximum number of stars, spread over the CCD", minimum=3)
    bright_limit: float = setting(7.5, "brighter stars are saturated", **TMAG)
    faint_limit: float = setting(12.5, "fainter stars contribute little", **TMAG)


@dataclass(frozen=True, slots=True, repr=False)
class PrepareSettings(Settings):
    """``prepare``: from images to a cube of pixels, backgrounds, flags and motion."""

    block_size: int = setting(
        64,
        "images per job; memory and disk access grow with it",
        unit="cadences",
        minimum=1,
        maximum=4096,
    )
    bad_quality: int = setting(
        4335,
        "TESS quality bits that exclude an image from averages and metrics",
        unit="bits",
        minimum=0,
        maximum=65535,
    )
    compression_error: float = setting(
        0.0625,
        "rms rounding of stored pixels; 0: exact, larger files",
        unit="of 1 sigma",
        minimum=0,
        maximum=1,
    )
    flux_errors: str = setting(
        "auto",
        "errors of pixels",
        choices={
            "auto": "measured ones where those of the images differ from them or make no sense",
            "images": "as in the images",
            "pixels": "measured from the scatter of the pixels",
        },
    )
    background: BackgroundSettings = section(BackgroundSettings)
    smoothing: SmoothingSettings = section(SmoothingSettings)
    flags: FlagSettings = section(FlagSettings)
    average: AverageSettings = section(AverageSettings)
    motion: MotionSettings = section(MotionSettings, "stars that the image motion is measured with")


@dataclass(frozen=True, slots=True, repr=False)
class PrfSettings(Settings):
    """``prf``: the pixel response function."""

    source: str = setting(
        "data",
        choices={
            "data": "fitted to stars",
            "spoc": "the mission's files in `folder`",
            "generic": "",
        },
    )
    folder: str | None = setting(
        None, "folder of the mission's PRF files, with all its sub-folders", **PATH_OR_NULL
    )
    n_stars: int = setting(3000, "maximum number of stars that the PRF is fitted to", minimum=1)
    bright_limit: float = setting(7.5, "brighter stars are saturated", **TMAG)
    faint_limit: float = setting(13.5, "fainter stars contribute little", **TMAG)


@dataclass(frozen=True, slots=True, repr=False)
class TimeSettings(Settings):
    """``times``: barycentric times of the stars."""

    ephemeris: str | None = setting(
        None,
        "position of TESS, SPK kernel or vectors of JPL Horizons; null: computed orbit",
        **PATH_OR_NULL,
    )


@dataclass(frozen=True, slots=True, repr=False)
class TodoSettings(Settings):
    """``todo``: the stars that are measured."""

    faint_limit: float = setting(15.0, "fainter stars are not measured", **TMAG)
    # What the lists hold is checked by tessphot_lib.io.stars.star_lists.
    exclude: list[Any] | str = setting(
        [],
        "stars not to measure: TIC numbers, {tic_id, sector, reason}, or a CSV file",
        minLength=1,
    )
    methods: dict[Any, Any] | str = setting(
        {},
        "method by TIC number, overrides photometry.method; or a CSV file",
        minLength=1,
    )


@dataclass(frozen=True, slots=True, repr=False)
class TargetSettings(Settings):
    """``targets``: single stars to measure."""

    tic_ids: list[int] | str = setting(
        [],
        "TIC numbers of the stars to measure, or a file of them; empty: all stars of the todo list",
        items={"minimum": 1, "maximum": 99_999_999_999},
        uniqueItems=True,
        minLength=1,
    )


@dataclass(frozen=True, slots=True, repr=False)
class MethodSettings(Settings):
    """Base of the settings of a method of photometry."""

    summary: ClassVar[str] = ""
    fits_neighbors: ClassVar[bool] = False  # whether stars are fitted together with others


@dataclass(frozen=True, slots=True, repr=False)
class ApertureSettings(MethodSettings):
    """``photometry.aperture``: sums of pixels."""

    summary: ClassVar[str] = "sum of pixels"

    kind: str = setting(
        "optimal",
        choices={"optimal": "best signal to noise", "significant": "all pixels above threshold"},
    )
    threshold: float = setting(
        3.0,
        "minimum excess of a pixel of the average image above the local sky",
        unit="sigma",
        exclusiveMinimum=0,
    )
    min_pixels: int = setting(
        4, "smaller apertures are replaced by 3 x 3 pixels around the star", minimum=1
    )
    max_radius: float = setting(
        13.0,
        "maximum radius at Tmag 5; 0.1 dex less per magnitude",
        unit="pixels",
        exclusiveMinimum=0,
    )
    motion_correction: bool = setting(
        True, "correct for flux that image motion carries over the aperture edge"
    )


FREE_LIMIT = 16.0  # [mag] where photometry.linpsf.free_limit is null


@dataclass(frozen=True, slots=True, repr=False)
class LinpsfSettings(MethodSettings):
    """``photometry.linpsf``: PRF fits."""

    summary: ClassVar[str] = "PRF fit of the fluxes"
    fits_neighbors: ClassVar[bool] = True

    free_limit: float | None = setting(
        None,
        "fainter stars keep their mean flux in single images, but for those 1.2 to 4 pixels from a "
        "star a magnitude brighter than this; null: 16, or todo.faint_limit where that is fainter; "
        "in crowds only the brightest are fitted, one star for each 4 pixels",
        **TMAG,
    )


def free_limit_of(settings: LinpsfSettings) -> float:
    """``free_limit``, which a whole configuration fills in, or its default [mag]."""
    return FREE_LIMIT if settings.free_limit is None else settings.free_limit


@dataclass(frozen=True, slots=True, repr=False)
class PsfSettings(MethodSettings):
    """``photometry.psf``: positions of stars in PRF fits."""

    summary: ClassVar[str] = "PRF fit of fluxes and positions"
    fits_neighbors: ClassVar[bool] = True

    position_limit: float = setting(
        14.0,
        "positions of brighter stars are fitted to the average image",
        was="place_limit",
        **TMAG,
    )
    image_limit: float = setting(
        9.0, "positions of brighter stars are fitted to each image, too", **TMAG
    )


@dataclass(frozen=True, slots=True, repr=False)
class CorrectionSettings(Settings):
    """``photometry.correction``: FLUX_CORR."""

    method: str = setting(
        "trends",
        choices={
            "trends": "motion and cotrending basis vectors",
            "motion": "motion only",
            "none": "",
        },
    )
    n_stars: int = setting(
        512, "bright isolated stars of a CCD that the basis vectors are from", minimum=1
    )
    max_basis_vectors: int = setting(
        4, "maximum number of basis vectors", was="max_trends", minimum=1, maximum=20
    )


@dataclass(frozen=True, slots=True, repr=False)
class HaloSettings(MethodSettings):
    """``photometry.halo``: weighted sums of pixels around saturated stars."""

    summary: ClassVar[str] = "weighted sum of the pixels around a saturated star"

    radius: float = setting(
        20.0, "radius of the pixels used, around the star", unit="pixels", minimum=3, maximum=40
    )
    gap: float = setting(
        0.5, "weights are determined again after longer gaps", unit="d", exclusiveMinimum=0
    )
    min_pixels: int = setting(
        40, "with fewer usable pixels the star is measured by its aperture", minimum=1
    )
    motion_correction: bool = setting(True, "subtract the effect of the image motion on each pixel")


@dataclass(frozen=True, slots=True, repr=False)
class AutoSettings(Settings):
    """``photometry.auto``: the method of each star, if none is forced."""

    halo_always: float = setting(2.0, "stars this bright or brighter: halo", **TMAG)
    halo_limit: float = setting(6.0, "so are brighter ones than this whose aperture is cut", **TMAG)
    halo_edge_fraction: float = setting(
        0.01,
        "cut: more than this fraction of the expected flux is at an edge",
        was="halo_edge",
        minimum=0,
    )
    linpsf_contamination: float = setting(
        0.25,
        "of others, those with more contamination in the aperture: linpsf",
        minimum=0,
        maximum=1,
    )


# The methods of photometry: their names, and their sections of the configuration.
METHODS: dict[str, type[MethodSettings]] = {
    "aperture": ApertureSettings,
    "linpsf": LinpsfSettings,
    "psf": PsfSettings,
    "halo": HaloSettings,
}
FITTING_METHODS = tuple(name for name, kind in METHODS.items() if kind.fits_neighbors)


@dataclass(frozen=True, slots=True, repr=False)
class PhotometrySettings(Settings):
    """``photometry``: how stars are measured."""

    method: str = setting(
        "auto",
        choices={
            "auto": "chosen for each star by the rules below",
            **{name: kind.summary for name, kind in METHODS.items()},
        },
    )
    tiles: list[int] | None = setting(
        None,
        "[rows, columns]: tiles of a CCD, one job each; null: [8, 8], of cutouts and of target "
        "pixel files one tile for each 200 of them (33 with 20 s)",
        items={"minimum": 1, "maximum": 256},
        minItems=2,
        maxItems=2,
    )
    extra_apertures: list[float] = setting(
        [],
        "radii of further apertures around all stars: columns FLUX_AP1, FLUX_AP2, …",
        unit="pixels",
        items={"exclusiveMinimum": 0, "maximum": 20},
        maxItems=9,
        uniqueItems=True,
    )
    transients: bool = setting(
        False,
        "measure the transients in transients.ecsv, and stars in outburst that are too faint for "
        "todo.faint_limit",
    )
    moving: bool = setting(
        False, "measure the objects in moving.ecsv, with apertures that follow them"
    )
    tpf_residual_background: bool = setting(
        False,
        "true: what the background of target pixel files leaves between the stars (BKGLEFT) is "
        "subtracted, too, where it is clearly measured; false: FLUX has SPOC's background",
    )
    aperture: ApertureSettings = section(ApertureSettings, "sums of pixels")
    linpsf: LinpsfSettings = section(LinpsfSettings, "PRF fits, also for psf")
    psf: PsfSettings = section(PsfSettings, "PRF fits of positions, too")
    correction: CorrectionSettings = section(CorrectionSettings, "FLUX_CORR")
    halo: HaloSettings = section(HaloSettings, "weighted sums of pixels around saturated stars")
    auto: AutoSettings = section(AutoSettings, "the method of each star, with method: auto")


@dataclass(frozen=True, slots=True, repr=False)
class HlspSettings(Settings):
    """``output.hlsp``: the collection in an archive that the light curves are made for."""

    id: str | None = setting(
        None,
        "HLSPID, the name of the collection in file names; null: none of these keywords",
        **HLSP_NAME,
    )
    name: str | None = setting(None, "HLSPNAME, its title", **CARD_TEXT)
    lead: str | None = setting(None, "HLSPLEAD, full name of who leads it", **CARD_TEXT)
    doi: str | None = setting(None, "DOI of the collection", **CARD_TEXT)
    license: str | None = setting(None, "LICENSE; MAST asks for CC BY 4.0", **CARD_TEXT)
    license_url: str | None = setting(None, "LICENURL", **CARD_TEXT)


@dataclass(frozen=True, slots=True, repr=False)
class MovingSettings(Settings):
    """``moving``: asteroids and comets, whose light disturbs stars."""

    find: bool = setting(True, "look for objects that move from image to image")
    ephemerides: str | None = setting(
        None,
        "table of positions of known objects: name, time or jd, ra, dec, tmag or vmag",
        **PATH_OR_NULL,
    )
    skybot: bool = setting(
        False, "ask SkyBoT (IMCCE, over the internet) for the known objects on each CCD"
    )


@dataclass(frozen=True, slots=True, repr=False)
class OutputSettings(Settings):
    """``output``: the light curves, and pictures."""

    version: int = setting(
        1, "VERSION in the names and headers of the light curves", minimum=1, maximum=99
    )
    origin: str = setting(
        "TASOC/Aarhus",
        "ORIGIN in the headers, by which lightkurve recognizes the format",
        **NO_BRACES,
    )
    hlsp: HlspSettings = section(HlspSettings, "keywords of a collection at MAST")
    pictures: bool = setting(False, "true: also draw the average images and a light curve as PNG")
    parquet: bool = setting(
        False, "true: also write all light curves of a CCD to one file, lightcurves.parquet"
    )
    joined: bool = setting(
        False, "true: also join the light curves of targets.tic_ids over all sectors"
    )
    report: bool = setting(True, "true: also write results/report/index.html, for a browser")
    report_stars: int = setting(
        10,
        "stars of each CCD with a page of their own: as many of the most variable ones, "
        "and of the brightest ones with a warning; those of targets.tic_ids always",
        minimum=0,
        maximum=1000,
    )


@dataclass(frozen=True, slots=True, repr=False)
class Configuration(Settings):
    """All sections of ``config/config.yaml``."""

    sectors: list[int] | str = setting(
        [14],
        "one or more; or 1-13; or all: those of the cutouts or images that there are",
        items={"minimum": 1, "maximum": MAX_SECTOR},
        minItems=1,
        uniqueItems=True,
        minLength=1,
    )
    cameras: list[int] = setting([1, 2, 3, 4], "1 to 4", **FOUR)
    ccds: list[int] = setting([1, 2, 3, 4], "1 to 4", **FOUR)
    input: InputSettings = section(InputSettings)
    catalog: CatalogSettings = section(CatalogSettings)
    prepare: PrepareSettings = section(PrepareSettings)
    prf: PrfSettings = section(PrfSettings)
    times: TimeSettings = section(TimeSettings)
    todo: TodoSettings = section(TodoSettings)
    targets: TargetSettings = section(TargetSettings)
    moving: MovingSettings = section(MovingSettings)
    photometry: PhotometrySettings = section(PhotometrySettings)
    simulation: SimulationSettings = section(
        SimulationSettings, "only used with input.source: simulated"
    )
    output: OutputSettings = section(OutputSettings)
