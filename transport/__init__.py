"""How this program's clients reach the Temporal server: credentials, and encryption of what they send."""
