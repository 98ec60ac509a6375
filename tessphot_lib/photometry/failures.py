"""One star that cannot be measured, or on which the code fails, stops nobody."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from tessphot_lib.core.errors import MeasurementError
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
        log.exception("TIC %d: unexpected error", tic_id)
        return None, UNEXPECTED + "".join(traceback.format_exception_only(error)).strip()


def notes_of(tic_id: int, measure: Callable[[], StarNotes]) -> StarNotes:
    """Call what a method does for a single star; whatever fails becomes the star's failure."""
    notes, failure = attempt(tic_id, measure)
    return StarNotes(failure=failure) if notes is None else notes
