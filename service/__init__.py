"""What an installation knows beside the engine: settings, the journal, notices, hooks."""
