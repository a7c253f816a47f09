"""Work for machines without a network: a cache filled ahead, bundles, and what is new for those in use."""
