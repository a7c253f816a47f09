"""Build a project into a wheel and an sdist that carry a lock and a Procfile."""
