"""Changes to devpi's views: what they check of a request, and what they answer."""
