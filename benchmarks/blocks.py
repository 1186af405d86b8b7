"""Blocks of a document that a command writes, between two HTML comments."""

from vae_jax.errors import InputError


def markers(name: str) -> tuple[str, str]:
    """The comments before and after the block of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replace_block(text: str, name: str, content: str, document: str) -> str:
    """The text with the content between the two markers of the block.

    Raises:
      InputError: the markers are not there, each once and in this order.
    """
    begin, end = markers(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{document}: must have {begin} and then {end}, each once")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"
