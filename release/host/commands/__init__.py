"""The commands of the agent, and the steps of a deploy: a module each."""
