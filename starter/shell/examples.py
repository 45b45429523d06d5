"""Examples for the help pages and the manual: for each command by its words, comments and what is typed.

A test parses each of them, and finds none missing.
"""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, str]] = {
    "": """
# A repository, a first backup, and what is in it
holdfast --repo /srv/backup init
holdfast --repo /srv/backup backup ~/documents
holdfast --repo /srv/backup snapshots
""",
    "init": """
# Create a repository in a folder; the password is asked for
holdfast init --repo /srv/backup
# … in a bucket, with the password in a file
holdfast init -r s3:https://s3.example.org/bucket -p ~/.backup-password
""",
    "backup": """
# A source of the settings, by its name
holdfast backup documents
# Folders, without what need not be kept
holdfast backup -r /srv/backup ~/documents ~/mail --exclude '*.tmp'
# What would be stored
holdfast backup documents --dry-run --verbose
# What a command prints; where it fails, the backup does
holdfast backup -r main --stdin-filename shop.sql --stdin-from-command -- \\
    pg_dump shop
""",
    "restore": """
# The newest snapshot of a source into a folder
holdfast restore latest --source documents --target /tmp/restored
# One folder of a snapshot, back to where it was; first only look
holdfast restore 1f2e3d4c /home/me/letters --in-place --dry-run
""",
    "snapshots": """
# All snapshots of a repository, and the newest two of each source
holdfast snapshots --repo main
holdfast snapshots --repo main --latest 2
""",
    "ls": """
# What a snapshot holds, with sizes and times
holdfast ls latest --long
# What is in one of its folders
holdfast ls latest /home/me/letters
# All versions of a file
holdfast ls --versions /home/me/letters/to-anna.txt
""",
    "changes": """
# Between the last two snapshots of a source
holdfast changes documents
# On Tuesday: against the last snapshot before it
holdfast changes documents --since tuesday --until wednesday
""",
    "decisions": """
# Of the last month
holdfast decisions --since 30d
""",
    "system": """
# What the settings know of systems
holdfast system list
""",
    "system list": """
# All systems, with their last backups
holdfast system list
""",
    "system show": """
# Members, hooks and last runs of one
holdfast system show shop
""",
    "system backup": """
# All members at once
holdfast system backup shop
""",
    "system restore": """
# As it was three hours ago, into a folder for each member
holdfast system restore shop --as-of 3h --target /srv/recovered
""",
    "status": """
# How well each source is backed up, worst first
holdfast status
# One source, with the time line of its runs
holdfast status documents
""",
    "runs": """
# What went wrong in the last week, and why
holdfast runs --wrong --since 7d
# The restores of one source
holdfast runs --source documents --kind restore
""",
    "run": """
# The record of the newest run of a source
holdfast run show documents
""",
    "run show": """
# The record of the newest run of a source
holdfast run show documents
""",
    "run files": """
# What could not be read
holdfast run files documents --action unreadable --action failed
""",
    "run report": """
# A page about the newest backup of a source
holdfast run report --source documents --output documents.html
""",
    "cancel": """
# Stop the run of a source
holdfast cancel documents
""",
    "pause": """
# Let it rest, and go on
holdfast pause documents --reason 'video call'
holdfast resume documents
""",
    "resume": """
# Go on with the newest interrupted run
holdfast resume
""",
    "throttle": """
# 10 MiB a second by day, as fast as it can at night
holdfast throttle documents 10MiB --window 22:00-06:00=none
""",
    "priority": """
# Before all others
holdfast priority documents 1
""",
    "approve": """
# Let a guard bring back what is missing
holdfast approve documents --by anna --reason mistake --part missing
# Let a prune do what it has planned
holdfast approve main --prune --by anna --reason 'as expected'
""",
    "verify": """
# That all which snapshots refer to is there
holdfast verify --repo main
# Read the newest one back; or each day another seventh of everything
holdfast verify latest --level full
holdfast verify --read-data-subset day/7
""",
    "drill": """
# Restore a twentieth of a source's files, compare, remove
holdfast drill documents --sample 5%
""",
    "drills": """
# What was proven, and what never was
holdfast drills
""",
    "guard": """
# What is missing or damaged in a source
holdfast guard documents --on-missing report
""",
    "repair": """
# What a repair of the index would do
holdfast repair index --dry-run
""",
    "repair index": """
# First look, then mend
holdfast repair index --dry-run
holdfast repair index
""",
    "repair packs": """
# Save what is sound in packs known to be damaged
holdfast repair packs
""",
    "repair snapshots": """
# Store what is left of broken snapshots, and remove those
holdfast repair snapshots --forget
""",
    "unlock": """
# Remove the locks of processes that have ended
holdfast unlock --repo main
""",
    "migrate": """
# What applies, and do it
holdfast migrate --repo main
holdfast migrate --repo main upgrade_repo_v2
""",
    "storage": """
# Try the place of a repository
holdfast storage check --repo main
""",
    "storage check": """
# Try the place of a repository
holdfast storage check --repo main
""",
    "forget": """
# What the settings' policies would make go, and why
holdfast forget --repo main --dry-run
# A policy of its own, and the space back
holdfast forget --repo main --keep-daily 7 --keep-weekly 5 --prune
""",
    "unforget": """
# What can be taken back, and take one
holdfast unforget
holdfast unforget 1f2e3d4c
""",
    "hold": """
# Keep a snapshot until the audit
holdfast hold 1f2e3d4c --reason audit --until 2027-03-31
""",
    "holds": """
# What is held, and by whom
holdfast holds --repo main
""",
    "release": """
# The audit is over
holdfast release 1f2e3d4c --reason 'audit is over'
# What the guard found was looked into
holdfast release --alarm documents --reason 'was a test'
""",
    "retention": """
# What one source's policy keeps
holdfast retention simulate documents
""",
    "retention simulate": """
# What one source's policy keeps
holdfast retention simulate documents
""",
    "prune": """
# First look, then do it
holdfast prune --repo main --dry-run
holdfast prune --repo main
""",
    "tag": """
# Add a tag to the newest snapshot
holdfast tag latest --add before-upgrade
""",
    "stats": """
# What each source takes, and how the repository grows
holdfast stats --repo main --mode shares
""",
    "cleanup": """
# What has been left behind
holdfast cleanup --dry-run
""",
    "schedule": """
# Make the server's schedules those of the settings
holdfast schedule apply
""",
    "schedule apply": """
# The plan, without a change
holdfast schedule apply --dry-run
""",
    "schedule list": """
# All schedules of this host
holdfast schedule list
""",
    "schedule next": """
# When all run next, and one
holdfast schedule next
holdfast schedule next documents.nightly
""",
    "schedule pause": """
# While the disk is being replaced
holdfast schedule pause documents.nightly --note 'new disk'
""",
    "schedule resume": """
# The disk is there
holdfast schedule resume documents.nightly
""",
    "schedule trigger": """
# Once more, now
holdfast schedule trigger documents.nightly
""",
    "schedule backfill": """
# The times that were missed in January
holdfast schedule backfill documents.nightly \\
    --since 2026-01-01T00:00 --until 2026-02-01T00:00
""",
    "schedule delete": """
# Remove it from the server
holdfast schedule delete documents.nightly
""",
    "watch": """
# Watch one source until Ctrl-C
holdfast watch documents
""",
    "advise": """
# At most four hours of work may be lost
holdfast advise documents --rpo 4h --critical
""",
    "up": """
# The service of the settings
holdfast up
# … and of a repository besides
holdfast up --repo /srv/backup --password-file ~/.backup-password
""",
    "worker": """
# Workers for the server that the settings name
holdfast worker --config /etc/holdfast.toml
""",
    "service": """
# How the service of this host stands
holdfast service status
""",
    "service install": """
# The host's service, as root; first only look at the unit
holdfast service install --dry-run
holdfast service install
# One that may restore to /home as well, and one of this user's own
holdfast service install --restore-to /home
holdfast service install --user
""",
    "service status": """
# Of the host, and of this user
holdfast service status
holdfast service status --user
""",
    "service remove": """
# Stop it, and remove its unit
holdfast service remove
""",
    "codec-server": """
# For a Web UI on this host
holdfast codec-server --origin http://localhost:8233
""",
    "key": """
# Who can open the repository
holdfast key list --repo main
""",
    "key list": """
# Who can open the repository
holdfast key list --repo main
""",
    "key add": """
# A second password
holdfast key add --repo main --new-password-file ~/.second-password
""",
    "key remove": """
# A password that is no longer to open it
holdfast key remove --repo main 1f2e3d4c
""",
    "key passwd": """
# Another password in place of this one
holdfast key passwd --repo main
""",
    "encryption": """
# A first key
holdfast encryption new-key --file /etc/holdfast.keys
""",
    "encryption new-key": """
# A first key
holdfast encryption new-key --file /etc/holdfast.keys
""",
    "encryption list": """
# The keys of the settings
holdfast encryption list
""",
    "cache": """
# What is there, and remove what was not used for a week
holdfast cache
holdfast cache --cleanup --max-age 7
""",
    "config": """
# A settings file to begin with, and what is wrong with one's own
holdfast config example
holdfast config check
""",
    "config example": """
# Every key, with its default or an example
holdfast config example
""",
    "config check": """
# The file that counts, and one that is to count
holdfast config check
holdfast config check --config new.toml
""",
    "config show": """
# Each value with the line, the variable or the default that it comes from
holdfast config show
""",
    "env": """
# What a shell takes by: eval "$(holdfast env)"
holdfast env
""",
    "completion": """
# Its first lines say where to put it
holdfast completion bash
""",
}
