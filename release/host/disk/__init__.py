"""What lasts on a host: releases, journal, lock, file cache."""
