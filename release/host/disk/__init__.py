"""Everything that lasts on a host: releases, journal, lock, file cache."""
