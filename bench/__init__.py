"""One module per benchmark; each yields rows measured in one run, ours beside the named rival."""
