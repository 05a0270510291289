"""Makes nano: draws its pictures, trains it, and writes it as a DeepSeek-VL2 checkpoint."""
