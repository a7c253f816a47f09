"""Changes to how devpi finds out who a request is from, and what that user may do."""
