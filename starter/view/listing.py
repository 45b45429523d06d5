"""Warns of what a list of runs lacks, and hands the list on."""

from holdfast.control.listing import RunList
from holdfast.starter.shell.output import warn


def told(listed: RunList) -> RunList:
    """The list, once a journal that could not be read has been told of."""
    if listed.unread:
        warn(f"the journal cannot be read: {listed.unread}")
    return listed
