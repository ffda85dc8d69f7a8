#!/bin/sh
# Pictures of every view in prepared states, light and dark, 1440 x 900: tests/gui/screenshots.sh [BUILD] [FOLDER] [FILTER]
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
build=${1:-$here/build/release}
folder=${2:-$build/screenshots}
QT_QPA_PLATFORM=${QT_QPA_PLATFORM:-offscreen} "$build/tests/gui_screens" "$folder" "${3:-}"
echo "pictures in $folder"
