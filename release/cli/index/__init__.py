"""Commands on the company index: login, logout, upload, promote, pipeline."""
