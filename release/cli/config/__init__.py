"""Commands on the variables that an application gets."""
