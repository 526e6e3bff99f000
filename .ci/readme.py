"""Checks that the README shows what its commands print.

Usage: python3 readme.py README OUTPUT...
"""

import re
import sys

readme, *outputs = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
# The runtime's version is that of the machine: an installed Python package is used where there is one.
version = re.compile(r"ONNX Runtime \d+\.\d+\.\d+")
for output in outputs:
    if version.sub("ONNX Runtime X", output).strip() not in version.sub("ONNX Runtime X", readme):
        sys.exit("the README does not show what this command prints:\n" + output)
print(f"the README shows what {len(outputs)} commands print")
