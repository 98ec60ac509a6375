"""The failures that are about the data or the settings, not about the code.

Each carries one line that a user can act on: the file, the key, the value.
"""


class TessphotError(Exception):
    """Base of all errors that a user can cause and mend."""


class ConfigError(TessphotError):
    """A setting is unknown, has the wrong type, or is impossible."""


class InputDataError(TessphotError):
    """A file cannot be read, lacks something, or contradicts another one."""


class MeasurementError(TessphotError):
    """One star cannot be measured; the reason goes into the todo list."""
