"""circus, the sockets that releases listen on, and their health."""
