#!/bin/sh
# Ansible's dynamic inventory: `ansible -i inventory.sh …` in the folder of release.toml, or with RELEASE_PROJECT.
exec "${PACKHORSE_PYTHON:-python3}" -Im release inventory "$@"
