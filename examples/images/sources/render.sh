#!/usr/bin/env bash
# Makes the pictures beside this folder again. Needs chromium, libreoffice-writer, poppler-utils, the fonts DejaVu,
# Liberation and Humor Sans, and a Python with matplotlib.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# browser NAME WIDTH HEIGHT: a page or a drawing as Chromium shows it.
browser() {
    local page=("$PWD/$1".*)
    chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
        --user-data-dir="$work/browser" --force-device-scale-factor=1 --window-size="$2,$3" \
        --screenshot="$PWD/../$1.png" "file://${page[0]}" 2>/dev/null
}

# printed NAME: a page as LibreOffice prints it, at 110 dots per inch.
printed() {
    soffice --headless "-env:UserInstallation=file://$work/office" --convert-to pdf --outdir "$work" "$1.fodt" >/dev/null
    pdftoppm -r 110 -png -singlefile "$work/$1.pdf" "../$1"
}

browser receipt 240 336
browser table 336 168
browser sign 240 168
browser street 300 168
browser ticket 336 168
browser badge 252 168
browser note 240 168
browser readme 420 168
browser shapes 168 168
browser objects 336 168
browser before 160 160
browser after 160 160
printed invoice
printed page
"${PYTHON:-python3}" charts.py
