"""All steps over simulated target pixel files, one function call each, for test_tpfs."""

from cutout_run import PREPARE, catalog, finish

from tessphot_lib.steps.stamp_table import run_stamp_table
from tessphot_lib.steps.stamps import run_stamps


def run_stamped(home, tpfs, tic, ccd_id, *, of_images=None, on_bad_image="error"):
    """All steps over target pixel files, files or folders."""
    table, ffis = home / "cutouts.ecsv", home / "ffis.ecsv"
    run_stamp_table(tpfs, table, ffis, ccd_id, on_bad_image=on_bad_image)
    catalog(home, tic, table, ccd_id)
    blocks = [home / "blocks" / "stamps.hdf5"]
    stars = home / "catalog.sqlite"
    settings = {"settings": PREPARE, "on_bad_image": on_bad_image}
    run_stamps(table, ffis, stars, blocks[0], ccd_id, **settings)
    finish(home, blocks, table, ccd_id=ccd_id, of_images=of_images)
    return home
