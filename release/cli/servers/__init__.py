"""Commands that prepare servers and examine them."""
