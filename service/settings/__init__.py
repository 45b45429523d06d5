"""What a person has configured: the settings file, passwords, and private request files."""
