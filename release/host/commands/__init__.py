"""What an agent is asked to do, one module per command or step of a deploy."""
