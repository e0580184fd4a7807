import sys
from pathlib import Path

# The slow reference and the hard maps are shared by the tests of this room.
sys.path.insert(0, str(Path(__file__).parent))
