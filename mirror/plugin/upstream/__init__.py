"""Ask upstreams for project pages, and remember what they said."""
