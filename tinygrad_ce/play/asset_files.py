"""The files of the page."""

from importlib.resources import files

from ..draw import svg

# Style sheets of parts of the page, each of which is for its part alone.
_SCOPES = {"computation.css": b"#computation", "one_loss.css": b"#loss"}


def read_assets() -> dict[str, bytes]:
    """Return the page's files by name; the looks of graphs are those of drawings."""
    folder = files(__package__) / "assets"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for name, scope in _SCOPES.items():
        rules = found[name].replace(scope, b":scope")
        found[name] = b"@scope (%s) {\n%s}\n" % (scope, rules)
    palette = files(svg.__package__) / "interactive" / "assets" / "palette.css"
    found["palette.css"] = palette.read_bytes()
    found["graph.css"] = (svg.color_variables() + svg.rules()).encode()
    return found
