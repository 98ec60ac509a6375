"""Counts of things, as messages and reports say them."""


def counted(number: int, noun: str) -> str:
    """Write a number with what is counted: ``1 star``, ``2 stars``, ``0 light curves``.

    Parameters
    ----------
    number : int
    noun : str
        In the singular; its plural has an ``s``.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
