"""Run the Procfile of a project on the developer's machine, without a release and without a server."""
