"""What a service does beside its workers: the watchdog, the daily cleanup, recovery."""
