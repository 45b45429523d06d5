"""Finds the words of a result: one line a verb."""

from importlib import import_module
from typing import Final, cast

from contracts.verbs import Result
from starter.view.results.words import Words

MODULES: Final = {
    "BackupResult": "backup",
    "RestoreResult": "restore",
    "VerifyResult": "verify",
    "RepairResult": "repair",
    "DrillResult": "drill",
    "ForgetResult": "forget",
    "PruneResult": "prune",
    "SystemResult": "system",
}


def words_of(result: Result) -> Words:
    """What is told at the end of a run."""
    module = import_module(f"starter.view.results.{MODULES[type(result).__name__]}")
    return cast("Words", module.words(result))
