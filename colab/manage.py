"""Keep the notebooks fit to be stored: strip outputs, or write the address of the repository.

python colab/manage.py strip
python colab/manage.py address https://github.com/OWNER/NAME
"""

import json
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).parent
COLAB = "https://colab.research.google.com/"
UPLOAD = f"{COLAB}#upload=true"  # while the repository has no public address
BADGE = f"[![Open in Colab]({COLAB}assets/colab-badge.svg)]"
ADDRESS_LINE = re.compile(r'^ADDRESS = "(.*)"  # where', re.MULTILINE)


def notebooks() -> list[pathlib.Path]:
    """Return the paths of all notebooks in this folder."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: pathlib.Path) -> dict:
    """Return a notebook as it is stored."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: pathlib.Path, notebook: dict) -> None:
    """Store a notebook in the form of nbformat."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def strip(notebook: dict) -> dict:
    """Remove outputs, counts, and metadata that programs leave, in place."""
    language = {"name": "python"}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": language,
    }
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags")
        cell["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return notebook


def badge(name: str, address: str) -> str:
    """Return the first line of a notebook: Colab opens it, or asks for it without an address."""
    repository = address.removesuffix("/").removeprefix("https://github.com/")
    link = f"{COLAB}github/{repository}/blob/main/colab/{name}.ipynb" if address else UPLOAD
    return f"{BADGE}({link})"


def set_address(notebook: dict, name: str, address: str) -> dict:
    """Write the address into the badge and the first cell, in place."""
    title, install = notebook["cells"][:2]
    title["source"][0] = badge(name, address) + "\n"
    install["source"] = ADDRESS_LINE.sub(
        f'ADDRESS = "{address}"  # where', "".join(install["source"])
    ).splitlines(keepends=True)
    return notebook


def main(arguments: list[str]) -> None:
    """Run the command of the module's docstring."""
    is_address = len(arguments) == 2 and arguments[0] == "address"
    if is_address and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", arguments[1]):
        sys.exit(f"address = {arguments[1]!r}: must be https://github.com/OWNER/NAME")
    if not is_address and arguments != ["strip"]:
        sys.exit(__doc__)
    for path in notebooks():
        notebook = strip(read(path))
        if is_address:
            set_address(notebook, path.stem, arguments[1])
        write(path, notebook)


if __name__ == "__main__":
    main(sys.argv[1:])
