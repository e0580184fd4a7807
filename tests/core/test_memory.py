import subprocess
import sys

from histocerb.core.memory import peak_memory_mb

TELL = "import sys; from histocerb.core.memory import peak_memory_mb; print(peak_memory_mb())"


def test_the_peak_is_that_of_a_process_and_not_of_the_one_that_began_it():
    block = bytearray(200 << 20)
    assert peak_memory_mb() > len(block) >> 20
    child = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    assert 5 < float(child.stdout) < 150


def test_a_process_that_is_not_there_has_none():
    assert peak_memory_mb(2**22 + 1) == 0
