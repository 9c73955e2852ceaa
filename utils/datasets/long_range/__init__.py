"""Tasks in the manner of the Long Range Arena: what matters lies far apart in a sequence.

ListOps and Pathfinder are drawn anew, by the rules that are published; bytes of text are read from
own files. To be cited as Tay et al., "Long Range Arena: A Benchmark for Efficient Transformers",
ICLR 2021.
"""

from utils.datasets.long_range.byte_text import read_byte_text
from utils.datasets.long_range.listops import draw_listops, listops_tokens
from utils.datasets.long_range.pathfinder import draw_pathfinder

__all__ = ["draw_listops", "draw_pathfinder", "listops_tokens", "read_byte_text"]
