"""Checks the links of the documents without a network: files and headings exist, and the book's table of contents has every page.

Usage: python3 links.py

A page of the book may link to files in docs/ only, because nothing else is in the book.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "docs"
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
INCLUDE = re.compile(r"\{\{#include ([^}:]+)")


def anchors(page):
    """What a heading is called in a link, as GitHub and mdBook have it."""
    found = {}
    for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = found.get(name, 0)
        found[name] = count + 1
        if count:
            found[f"{name}-{count}"] = 1
    return set(found)


def wrong_links(page):
    text = page.read_text(encoding="utf-8")
    for included in INCLUDE.findall(text):
        if not (page.parent / included).is_file():
            yield f"includes {included}, which does not exist"
    for target in LINK.findall(CODE.sub("", FENCE.sub("", COMMENT.sub("", text)))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"links to {target}, which does not exist"
        elif BOOK in page.parents and BOOK not in file.parents:
            yield f"links to {target}, which is not in the book"
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
            yield f"links to {target}, and there is no such heading"


def main():
    contents = BOOK / "SUMMARY.md"
    pages = sorted(BOOK.rglob("*.md"))
    wrong = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages]:
        wrong += [f"{page.relative_to(ROOT)}: {what}" for what in wrong_links(page)]
    listed = [(BOOK / target).resolve() for target in LINK.findall(contents.read_text(encoding="utf-8"))]
    for page in pages:
        if page != contents and listed.count(page) != 1:
            wrong.append(f"{page.relative_to(ROOT)}: stands {listed.count(page)} times in docs/SUMMARY.md; expected once")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"the links of {len(pages) + 2} documents lead somewhere")


if __name__ == "__main__":
    main()
