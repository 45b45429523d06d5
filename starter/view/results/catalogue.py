"""Finds the words of a result: one branch a verb."""

from contracts.backup import BackupResult
from contracts.drill import DrillResult
from contracts.forget import ForgetResult
from contracts.prune import PruneResult
from contracts.repair import RepairResult
from contracts.restore import RestoreResult
from contracts.system import SystemResult
from contracts.verbs import Result
from contracts.verify import VerifyResult
from starter.view.results import backup, drill, forget, prune, repair, restore, system, verify
from starter.view.results.words import Words


def words_of(result: Result) -> Words:
    """What is told at the end of a run."""
    match result:
        case BackupResult():
            return backup.words(result)
        case RestoreResult():
            return restore.words(result)
        case VerifyResult():
            return verify.words(result)
        case RepairResult():
            return repair.words(result)
        case DrillResult():
            return drill.words(result)
        case ForgetResult():
            return forget.words(result)
        case PruneResult():
            return prune.words(result)
        case SystemResult():
            return system.words(result)
