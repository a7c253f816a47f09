"""Records of upstreams' files: entries of devpi's, when first seen, which changed or were brought."""
