"""Find what would stop a build or a deploy, in a project and on the hosts of a target."""
