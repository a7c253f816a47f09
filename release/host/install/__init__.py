"""Make a release folder with its virtualenv."""
