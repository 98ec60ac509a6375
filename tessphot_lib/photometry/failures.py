"""One star that cannot be measured, or on which the code fails, stops nobody."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from tessphot_lib.core.errors import MeasurementError, NoPixelsError
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.core.lightcurve import StarNotes
from tessphot_lib.core.star_warnings import UNEXPECTED

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def attempt(tic_id: int, work: Callable[[], Result]) -> tuple[Result, None] | tuple[None, str]:
    """Do something for a single star; return its result, or what is said of its failure.

    An unexpected error is logged with its traceback; `check` fails in the end
    and names the star.
    """
    try:
        return work(), None
    except MeasurementError as error:
        return None, str(error)
    except Exception as error:
        log.exception("%s: unexpected error", object_name(tic_id))
        return None, UNEXPECTED + "".join(traceback.format_exception_only(error)).strip()


def notes_of(tic_id: int, measure: Callable[[], StarNotes]) -> StarNotes:
    """Call what a method does for a single star; whatever fails becomes the star's failure."""
    lacks_pixels = False

    def work() -> StarNotes:
        nonlocal lacks_pixels
        try:
            return measure()
        except NoPixelsError:
            lacks_pixels = True
            raise

    notes, failure = attempt(tic_id, work)
    if notes is None:
        return StarNotes(failure=failure, has_pixels=not lacks_pixels)
    return notes
