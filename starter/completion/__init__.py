"""What a shell is told when a person asks it to complete a word."""
