"""What the shop sells. A real shop has a model here; a session holds the ``sku`` either way, never the product."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Product:
    sku: str
    name: str
    kind: str
    euros: int
    about: str
    details: tuple[str, ...]
    tone: str
    """Which of the style sheet's backgrounds the picture stands on."""

    @property
    def picture(self) -> str:
        return f"shop/art/{self.sku}.svg"


_PRODUCTS = (
    Product(
        sku="moon-teapot",
        name="Moon teapot",
        kind="Stoneware",
        euros=68,
        about="A round belly, a spout that does not drip, and a lid that stays on to the last cup.",
        details=("Holds 1.1 litres, four cups", "Glazed inside and out", "Strainer thrown into the spout"),
        tone="sage",
    ),
    Product(
        sku="harbour-mug",
        name="Harbour mug",
        kind="Stoneware",
        euros=24,
        about="Wide enough for two fingers in the handle, dipped by hand, so that no two lines are alike.",
        details=("Holds 350 millilitres", "Safe in dishwasher and microwave", "Dipped in sea-blue glaze"),
        tone="sky",
    ),
    Product(
        sku="dune-vase",
        name="Dune vase",
        kind="Earthenware",
        euros=54,
        about="Raw on the outside and tight on the inside. Made for three stems, content with one.",
        details=("26 centimetres tall", "Watertight", "Unglazed outside, ages with use"),
        tone="sand",
    ),
    Product(
        sku="lantern-lamp",
        name="Lantern lamp",
        kind="Paper and oak",
        euros=120,
        about="A paper shade on an oak foot. It dims to the light of a candle and folds flat to move house.",
        details=("Washi paper, oiled oak", "Warm light, dimmable", "42 centimetres tall"),
        tone="dusk",
    ),
    Product(
        sku="leaf-planter",
        name="Leaf planter",
        kind="Terracotta",
        euros=38,
        about="Fired slowly, so that it breathes. The plant came with the photographer and stayed.",
        details=("For pots up to 14 centimetres", "Hole and saucer included", "Stands a light frost"),
        tone="mint",
    ),
    Product(
        sku="tide-bowl",
        name="Tide bowl",
        kind="Porcelain",
        euros=32,
        about="Thin at the rim, steady at the foot. For soup on Monday and lemons for the rest of the week.",
        details=("22 centimetres across", "Translucent at the rim", "Stacks with its own kind"),
        tone="rose",
    ),
    Product(
        sku="rain-carafe",
        name="Rain carafe",
        kind="Glass",
        euros=46,
        about="Mouth-blown, with a glass for a lid. It sounds like rain when you pour, which is the whole idea.",
        details=("Holds 0.8 litres", "Glass doubles as the lid", "Recycled glass"),
        tone="sky",
    ),
    Product(
        sku="cedar-candle",
        name="Cedar candle",
        kind="Soy wax",
        euros=28,
        about="Cedar, a little smoke, and nothing sweet. When it has burnt down, the jar holds pencils.",
        details=("Burns for 45 hours", "Cotton wick", "Poured in small batches"),
        tone="sand",
    ),
    Product(
        sku="birch-stool",
        name="Birch stool",
        kind="Solid wood",
        euros=140,
        about="Three legs, so it never wobbles. A seat by day, a bedside table by night.",
        details=("45 centimetres high", "Solid birch, soaped", "No screws"),
        tone="sage",
    ),
)

CATALOGUE = {product.sku: product for product in _PRODUCTS}
