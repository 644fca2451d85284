#!/bin/sh
# Browser files that come from npm packages, committed so that no location needs npm.
#   copy   takes them over from node_modules
#   check  fails if they, or the built style sheet, are not what the sources give
set -eu
cd "$(dirname "$0")/../.."
from=node_modules
static=cockpit/static/cockpit

each() {
    "$1" "$from/htmx.org/dist/htmx.min.js" "$static/vendor/htmx.min.js"
    for part in latin latin-ext cyrillic; do
        "$1" "$from/@fontsource-variable/inter/files/inter-$part-wght-normal.woff2" \
            "$static/fonts/inter-$part.woff2"
    done
    "$1" "$from/@fontsource-variable/inter/LICENSE" "$static/fonts/LICENSE.txt"
}

case "${1:-check}" in
copy)
    each cp
    ;;
check)
    each cmp
    built=$(mktemp)
    trap 'rm -f "$built"' EXIT
    "$from/.bin/tailwindcss" -i cockpit/css/app.css -o "$built" --minify
    cmp "$built" "$static/app.css" || {
        echo "cockpit/static/cockpit/app.css is not what cockpit/css/app.css gives: npm run css" >&2
        exit 1
    }
    ;;
*)
    echo "usage: $0 copy|check" >&2
    exit 2
    ;;
esac
