"""Which words are those of a result: one branch a verb."""

from contracts.backup import BackupResult
from contracts.drill import DrillResult
from contracts.restore import RestoreResult
from contracts.system import SystemResult
from contracts.verbs import Result
from contracts.verify import VerifyResult
from starter.view.results import backup, drill, restore, system, verify
from starter.view.results.words import Message


def words_of(result: Result) -> tuple[list[str], Message]:
    """What is said at the end of a run: the lines for people, the document for programs."""
    match result:
        case BackupResult():
            return backup.lines(result), backup.summary(result)
        case RestoreResult():
            return restore.lines(result), restore.summary(result)
        case VerifyResult():
            return verify.lines(result), verify.summary(result)
        case DrillResult():
            return drill.lines(result), drill.summary(result)
        case SystemResult():
            return system.lines(result), system.summary(result)
