"""The shell wing has the command line itself: options, what was typed, text in and out."""
