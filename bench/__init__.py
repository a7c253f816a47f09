"""One module per benchmark; each prints ratios measured in one run."""
