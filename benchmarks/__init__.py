"""Benchmarks: Holdfast, in its three ways, beside the peers that are installed. `make bench` runs them."""
