"""Change what runs on the hosts of a target: requests, the controller, ssh."""
