#!/bin/sh
# Writes its arguments, one a line, to the file named first.
set -eu
target=$1
shift
printf '%s\n' "$@" >"$target"
