"""The names of the activities, in one place for both sides."""

from typing import Final

TRIGGER_BACKUP: Final = "trigger"
SELECT_PAGE: Final = "select"
STORE_SHARD: Final = "store_shard"
COMMIT_SNAPSHOT: Final = "commit_snapshot"
LIST_FILES: Final = "list_files"
LOG_BACKUP: Final = "log"
VERIFY_BACKUP: Final = "verify"
CLOSE_RUN: Final = "close"

TRIGGER_RESTORE: Final = "restore_trigger"
SELECT_RESTORE: Final = "restore_select"
CHECK_SPACE: Final = "restore_check_space"
RESTORE_SHARD: Final = "restore_shard"
FINISH_RESTORE: Final = "restore_finish"
LOG_RESTORE: Final = "restore_log"
VERIFY_RESTORE: Final = "restore_verify"
CLOSE_RESTORE: Final = "restore_close"

TRIGGER_VERIFY: Final = "verify_trigger"
CHECK_TREES: Final = "verify_trees"
PLAN_VERIFY: Final = "verify_plan"
VERIFY_SHARD: Final = "verify_shard"
FINISH_VERIFY: Final = "verify_finish"
LOG_VERIFY: Final = "verify_log"

TRIGGER_DRILL: Final = "drill_trigger"
CHECK_DRILL: Final = "drill_check"
CLEAN_DRILL: Final = "drill_clean"
LOG_DRILL: Final = "drill_log"

TRIGGER_FORGET: Final = "forget_trigger"
FORGET_SNAPSHOTS: Final = "forget"
LOG_FORGET: Final = "forget_log"

RUN_HOOK: Final = "hook"
RESTORE_TO_COMMAND: Final = "restore_to_command"

OPEN_SYSTEM: Final = "system_open"
RESOLVE_MEMBER: Final = "system_member"
FIND_MEMBER: Final = "system_find"
PREPARE_MEMBER: Final = "system_prepare"
LOG_SYSTEM: Final = "system_log"
