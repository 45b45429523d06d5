"""The control plane: runs are listed, started, followed and steered here, without a terminal."""
