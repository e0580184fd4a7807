"""All benchmarks, one after the other, each in a process of its own: `make bench`.

The experiment with a known answer is the last: it trains for some minutes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

names = [path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))]
for name in [*names, "known_answer"]:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
