"""Commands on the company index: login, logout, promote, pipeline."""
