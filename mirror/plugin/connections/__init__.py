"""The web server below devpi: waitress, which a single client cannot stop."""
