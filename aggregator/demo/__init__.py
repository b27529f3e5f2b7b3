"""A live show without a network: outlets on loopback, and the real service watching them."""
