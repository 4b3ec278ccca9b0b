#!/bin/sh
# Runs the bootstrap's wire tests on the Node.js binaries below a directory: run.sh <directory> [test name ...]
set -eu
if [ $# -lt 1 ]; then
  echo "usage: $0 <directory of Node.js binaries> [test name ...]" >&2
  exit 2
fi
exec python3 "$(dirname "$0")/wire_test.py" "$@"
