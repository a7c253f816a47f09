"""Find out about files what pages do not say, before policies let them pass: provenance, licenses."""
