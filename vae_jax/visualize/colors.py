"""Colors of figures, which readers with a color vision deficiency can tell apart."""

import numpy as np
from matplotlib.colors import Colormap, ListedColormap

BLUE = "#3b6fb6"
PALE_BLUE = "#9bb8dc"
RED = "#c0392b"
GRAY = "#888888"
CATEGORIES = (  # 10 colors for categories by Petroff, 2021, arXiv:2107.02270
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
DARK_PAGE = {  # color of a chart -> its color on a dark page
    "#000000": "#e4e7ec",
    BLUE: "#7fb0f0",
    PALE_BLUE: "#5f82ad",
    RED: "#ff8a75",
    GRAY: "#a3a8b0",
    "#b0b0b0": "#7a808a",
    "#cccccc": "#565c66",
    "#bd1f01": "#ff7a66",
    "#832db6": "#c08ae6",
}


def color_map(num: int, *, is_ordered: bool = False) -> Colormap:
    """A map of the numbers 0 .. `num` - 1 to a color each.

    Up to 10 categories get the colors of `CATEGORIES`. More, or ordered ones, get shades from dark
    to light.
    """
    if num <= len(CATEGORIES) and not is_ordered:
        return ListedColormap(CATEGORIES[:num])
    from matplotlib import colormaps

    return ListedColormap(colormaps["viridis"](np.linspace(0, 1, num)))
