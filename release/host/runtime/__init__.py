"""Programs that are copied into releases and run without the agent; standard library only."""
