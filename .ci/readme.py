"""Checks that the table in the README is what the main command printed.

Usage: python3 readme.py README OUTPUT
"""

import re
import sys

readme, output = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
# The runtime's version is that of the machine: an installed Python package is used where there is one.
version = re.compile(r"ONNX Runtime \d+\.\d+\.\d+")
shown = version.sub("ONNX Runtime X", output).strip()
if shown not in version.sub("ONNX Runtime X", readme):
    sys.exit("the README does not show what the main command prints:\n" + output)
print("the README shows what the main command prints")
