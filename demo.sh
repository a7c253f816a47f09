#!/bin/sh
# Run by `make demo`: take a project folder to a running release, with the commands that users type.
set -eu

step() { printf '\n$ %s\n' "$*"; "$@"; }

step mirror init
mirror status >/dev/null 2>&1 || step mirror serve --background
# The index refuses a changed sample app under its old version; the demo then deploys the one on the index.
{ step release -C sample_app build && step release -C sample_app upload; } || echo "Going on with the release that is on the index."
step release -C sample_app deploy local
step release -C sample_app run local -- flask --app sample_app seed

index=$(mirror status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])')/company/dev
app=$(release -C sample_app status local --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["hosts"][0]["url"])')
cat <<TEXT

The app:    $app        sign in as ann@example.com, password: load the horse
The index:  $index

Both keep running. Try next (PACKHORSE_HOME=$PACKHORSE_HOME, commands in .venv/bin):

  curl $app/version
  pip install --index-url $index/+simple/ sample-app
  release -C sample_app status local
  release -C sample_app logs local --follow
  mirror status
  make demo-stop
TEXT
