"""llama.cpp, by the library that llama-cpp-python builds, without that package's own Python around it."""

from __future__ import annotations

import ctypes
import random
import time

import llama_cpp

from seekvl_peers.files import Files
from seekvl_peers.plan import DECODED, Kind, Work
from seekvl_peers.shapes import language

#: Room for the longest context, and what is decoded after it.
_CONTEXT = 2048


class Llama:
    """A language model, its context, and random tokens for it."""

    def __init__(self, model: str, form: str, threads: int, files: Files) -> None:
        """Load the model of that form.

        Raises:
            RuntimeError: llama.cpp refuses the file.
        """
        self.vocabulary = language(model).vocabulary
        path = files.gguf(model, form)
        self.weights_bytes = path.stat().st_size
        self.random = random.Random(0)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(bytes(path), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = _CONTEXT
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError(f"llama.cpp makes no context for {path}")

    def measure(self, work: Work) -> float:
        """Seconds for a prompt, or for each of the tokens decoded after a context."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        if work.kind is Kind.PREFILL:
            return self._pass(work.size)
        if work.size:
            self._pass(work.size)
        return sum(self._pass(1) for _ in range(DECODED)) / DECODED

    def _pass(self, tokens: int) -> float:
        """Take in so many random tokens and compute the logits after the last."""
        ids = (ctypes.c_int32 * tokens)(*(self.random.randrange(self.vocabulary) for _ in range(tokens)))
        started = time.perf_counter()
        if llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, tokens)):
            raise RuntimeError("llama.cpp does not decode")
        llama_cpp.llama_synchronize(self.context)
        return time.perf_counter() - started
