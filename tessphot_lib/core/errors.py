"""The failures that are about the data or the settings, not about the code.

Each carries one line that a user can act on: the file, the key, the value.
"""


class TessphotError(Exception):
    """Base of all errors that a user can cause and mend."""


class ConfigError(TessphotError):
    """A setting is unknown, has the wrong type, or is impossible."""


class InputDataError(TessphotError):
    """A file cannot be read, lacks something, or contradicts another one."""


class OutputError(TessphotError):
    """A file cannot be written: no space, no permission, a disk that fails."""


class ServiceError(TessphotError):
    """A service on the network does not give what it is asked for."""


class DownloadError(TessphotError):
    """A file could not be fetched; names its address and the reason.

    ``permanent``: it is the file that is wrong or missing; the server answers.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class MeasurementError(TessphotError):
    """One star cannot be measured; the reason goes into the todo list."""


class NoPixelsError(MeasurementError):
    """Of a star there are no pixels that can be used."""
