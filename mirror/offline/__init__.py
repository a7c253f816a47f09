"""Work for machines without a network: bundles of packages, and what is new for those that are in use."""
