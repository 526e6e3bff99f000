"""Takes a picture out of a page of `af1 report --format html`, so that it stands alone.

Usage: python3 docs/pictures.py PAGE "PART OF ITS LABEL" PICTURE.svg

The picture of README.md is made by

    af1 patch --style calculate --operation A+B --operands 10..=29 --step 0 --change A --record patch.jsonl
    af1 report patch.jsonl --format html --out patch.html
    python3 docs/pictures.py patch.html "become the other prompt's" docs/patch.svg
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree


def main():
    page, label, out = sys.argv[1:]
    pictures = re.findall(r'<svg role="img".*?</svg>', Path(page).read_text(encoding="utf-8"), flags=re.DOTALL)
    wanted = [picture for picture in pictures if label in picture.split(">", 1)[0]]
    if len(wanted) != 1:
        sys.exit(f"{page}: {len(wanted)} of {len(pictures)} pictures have {label!r} in their labels; expected one")
    # On a page the ink is the reader's; alone it is dark on white.
    head, rest = wanted[0].split(">", 1)
    head += ' xmlns="http://www.w3.org/2000/svg" color="#1a1a1a"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    picture = f"{head}>{paper}{rest}\n"
    ElementTree.fromstring(picture)
    Path(out).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
