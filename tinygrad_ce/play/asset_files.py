"""The files of the page."""

from importlib.resources import files

from ..draw import svg


def read_assets() -> dict[str, bytes]:
    """Return the page's files by name; the looks of graphs are those of drawings."""
    folder = files(__package__) / "assets"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    palette = files(svg.__package__) / "interactive" / "assets" / "palette.css"
    found["palette.css"] = palette.read_bytes()
    found["graph.css"] = (svg.color_variables() + svg.rules()).encode()
    return found
