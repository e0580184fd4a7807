"""Encoder, decoders, network and checkpoints."""
