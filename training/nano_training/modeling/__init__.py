"""The model: DeepSeek-VL2's architecture, with the names of its published checkpoints."""
