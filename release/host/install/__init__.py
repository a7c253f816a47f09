"""Install a release: its folder and its virtualenv."""
