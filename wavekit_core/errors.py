"""What can go wrong, as classes: each carries the exit code that the command line ends with.

A message reads "what was found; why that is a fault; what to do". It never needs a traceback to be understood.
"""

import signal


class WavekitError(Exception):
    """A fault that a user can act on. The base class stands for faults of wavekit itself (exit code 1)."""

    exit_code = 1


class RecipeError(WavekitError):
    """The recipe, or the way the command was called, is wrong."""

    exit_code = 2


class SpaceError(RecipeError):
    """A component cannot work on the space that it is given.

    `at` names the parameter of `component` that is to blame, so that the recipe's line can be shown.
    """

    def __init__(self, component: object, reason: str, remedy: str = "", at: str | None = None):
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.component = component
        self.at = at


class PluginError(WavekitError):
    """A plugin is missing, broken, or made for another version of the interface."""

    exit_code = 3


class DataError(WavekitError):
    """The data are missing, unreadable or empty."""

    exit_code = 4


class DamagedError(WavekitError):
    """A file is damaged, or was not written by wavekit."""

    exit_code = 5


class ResourceError(WavekitError):
    """Disk, memory, permission, device or network does not suffice."""

    exit_code = 6


class DivergedError(WavekitError):
    """A loss or a gradient is not finite."""

    exit_code = 7


class BusyError(WavekitError):
    """Another process writes to the folder."""

    exit_code = 8


class Interrupted(KeyboardInterrupt):
    """A signal asks the run to end. Derived from KeyboardInterrupt so that no `except Exception` swallows it. The exit code is
    130 for SIGINT and 143, as for SIGTERM, for the others."""

    def __init__(self, signum: int):
        super().__init__(f"interrupted by signal {signum}")
        self.signum = signum
        self.exit_code = 130 if signum == signal.SIGINT else 143
