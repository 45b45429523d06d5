"""The daemon wing has what a service does beside its workers: its schedules, recovery, dead locks."""
