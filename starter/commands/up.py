"""`holdfast up` runs server, workers and Web UI in the foreground."""

from holdfast.starter.commands.worker import run
from holdfast.starter.shell.options import CommonOptions


def up(options: CommonOptions) -> int:
    """Run server, workers and Web UI until Ctrl-C; interrupted runs go on.

    Profiles of the settings are served. --repo adds a repository that is given by its location, with its password.
    """
    return run(options, up=True)
