"""Variables of a target: read values, edit them, compare what hosts have."""
