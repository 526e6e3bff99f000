#!/usr/bin/env python3
"""Takes a picture out of a page of `af1 report --format html`, so that it stands alone, on light paper and on dark.

Usage: python3 docs/pictures.py PAGE "BEGINNING OF ITS LABEL" "PART OF ITS LABEL" PICTURE.svg

The picture of README.md is made by

    af1 patch --style calculate --operation A+B --record patch.jsonl
    af1 report patch.jsonl --format html --out patch.html
    python3 docs/pictures.py patch.html "calculate A+B, another A:" "become the other prompt's" docs/patch.svg
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

# On a page the ink is the reader's, and the paper, too.
COLOURS = (
    "<style>:root{color:#1a1a1a;background:#fff}"
    "@media(prefers-color-scheme:dark){:root{color:#e6e6e6;background:#16181d}}</style>"
)
MOST_BYTES = 100_000


def main():
    page, begins, part, out = sys.argv[1:]
    pictures = re.findall(r'<svg role="img".*?</svg>', Path(page).read_text(encoding="utf-8"), flags=re.DOTALL)
    labels = [re.search('aria-label="([^"]*)"', picture).group(1) for picture in pictures]
    wanted = [picture for picture, label in zip(pictures, labels) if label.startswith(begins) and part in label]
    if len(wanted) != 1:
        sys.exit(f"{page}: {len(wanted)} of {len(pictures)} pictures have {begins!r} and {part!r} in their labels; expected one of {labels}")
    head, rest = wanted[0].split(">", 1)
    # There is no table below it.
    rest = re.sub(r"(<desc>[^<]*?) All numbers are in the table below the picture\.", r"\1", rest)
    picture = f'{head} xmlns="http://www.w3.org/2000/svg">{COLOURS}{rest}\n'
    ElementTree.fromstring(picture)
    written = picture.encode()
    if len(written) >= MOST_BYTES:
        sys.exit(f"{page}: the picture has {len(written)} bytes; expected fewer than {MOST_BYTES}")
    Path(out).write_bytes(written)


if __name__ == "__main__":
    main()
