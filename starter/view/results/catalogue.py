"""Finds the words of a result: a verb has those of its answer in the module that is named as the one of its messages.

That is loaded when a run has ended: a command needs the words of one verb.
"""

from importlib import import_module
from types import ModuleType
from typing import cast

from holdfast.contracts.verbs import Result
from holdfast.starter.view.results.words import Words


def view_of(messages: str) -> ModuleType:
    """The module with the words of a verb. messages: the module of its request and result."""
    return import_module(f"{__package__}.{messages.rpartition('.')[2]}")


def words_of(result: Result) -> Words:
    """What is told at the end of a run."""
    return cast("Words", view_of(type(result).__module__).words(result))
