"""Stand-alone programs that are copied beside releases; standard library only."""
