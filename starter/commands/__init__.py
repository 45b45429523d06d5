"""One module for each command: options in, calls of the other modules of `starter`, messages out."""
