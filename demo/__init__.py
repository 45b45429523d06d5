"""The demonstration behind `make demo`: a backup and a restore that go on after their processes were killed."""
