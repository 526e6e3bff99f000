"""Checks that the README's table of styles has the counts that its command prints.

Usage: python3 window.py README OUTPUT
"""

import re
import sys

readme, output = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
kept = {}
for line in output.splitlines():
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # Pooled rows are of several styles.
    if len(cells) > 9 and cells[1] in ("A+B", "A-B") and not cells[0].endswith(" styles"):
        style, operation, ablation, masking = cells[:4]
        kept[style, operation, ablation, masking] = cells[9].split(" ")[0]
styles = {style for style, *_ in kept}
wrong = []
for style in sorted(styles):
    row = next(line for line in readme.splitlines() if re.match(rf"\| {style} \| \d+/\d+ ", line))
    shown = [cell.strip().strip("*") for cell in row.strip("|").split("|")][1:]
    for i, operation in enumerate(["A+B", "A-B"]):
        of = [kept[style, operation, "cama", "abp"]]
        of += [kept[style, operation, *how].split("/")[0] for how in [("cama", "window-10"), ("mean", "abp")]]
        if shown[3 * i : 3 * i + 3] != of:
            wrong.append(f"{style} {operation}: the README shows {shown[3 * i : 3 * i + 3]}, the command prints {of}")
if wrong or len(styles) != 6:
    sys.exit("\n".join(wrong) or f"expected six styles, found {sorted(styles)}")
print(f"the README's table has the counts of {len(kept)} rows")
