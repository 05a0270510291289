"""How the package behaves in a process: signals, forks, memory, imports."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from conftest import PICTURES, REFERENCE

import seekvl

TINY = str(REFERENCE / "vl2-tiny-like")


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "call",
    [
        "model.ask(None, 'Hello', **long)",
        "list(model.ask(None, 'Hello', stream=True, **long))",
        "asyncio.run(model.aio.ask(None, 'Hello', **long))",
    ],
)
def test_ctrl_c_ends_a_generation(call: str) -> None:
    # Without the signal it would go on for thousands of tokens, and come to the line that tells.
    program = f"""
    import asyncio, os, signal, sys, threading
    import seekvl
    model = seekvl.load(sys.argv[1])
    long = dict(max_new_tokens=4000, repetition_guard=False, ignore_eos=True)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        {call}
        print("went on to the end")
    except KeyboardInterrupt:
        print("interrupted")
    print(len(model.ask(None, "Hello", max_new_tokens=3).tokens), "tokens after that")
    """
    done = run(program, TINY)
    assert done.stdout.split("\n")[:2] == ["interrupted", "3 tokens after that"], done.stderr
    assert done.returncode == 0


def test_ctrl_c_that_is_not_caught_ends_the_process() -> None:
    program = """
    import os, signal, sys, threading
    import seekvl
    model = seekvl.load(sys.argv[1])
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    model.ask(None, "Hello", max_new_tokens=4000, repetition_guard=False, ignore_eos=True)
    """
    done = run(program, TINY)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def test_other_signals_are_handled_and_the_work_goes_on() -> None:
    program = """
    import os, signal, sys, threading
    import seekvl
    seen = []
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(model is not None))
    model = seekvl.load(sys.argv[1])
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    answer = model.ask(None, "Hello", max_new_tokens=1500, repetition_guard=False, ignore_eos=True)
    print(len(answer.tokens), seen)
    """
    assert run(program, TINY).stdout == "1500 [True]\n"


def test_ending_the_process_amid_a_stream_is_clean() -> None:
    program = """
    import sys
    import seekvl
    stream = seekvl.load(sys.argv[1]).ask(None, "Hello", max_new_tokens=4000, repetition_guard=False, stream=True)
    next(stream)
    """
    done = run(program, TINY)
    assert (done.returncode, done.stderr) == (0, "")


def _in_child(model: seekvl.Model | None, results: multiprocessing.Queue[str]) -> None:
    try:
        model = model or seekvl.load(TINY)
        results.put(repr(model.ask(PICTURES / "one.png", "?", max_new_tokens=2).tokens))
    except seekvl.Error as error:
        results.put(f"{type(error).__name__}: {error}")


def _child(method: str, model: seekvl.Model | None) -> str:
    context: Any = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_in_child, args=(model, results))
    with warnings.catch_warnings():
        # From 3.12 on Python warns of forks in processes with threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    result = results.get(timeout=60)
    process.join(timeout=60)
    return str(result)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_processes_are_refused(tiny: seekvl.Model) -> None:
    for model in (tiny, None):
        assert _child("fork", model).startswith("ForkError: seekvl was used in process")


def test_spawned_processes_work(tiny: seekvl.Model) -> None:
    expected = repr(tiny.ask(PICTURES / "one.png", "?", max_new_tokens=2).tokens)
    assert _child("spawn", tiny) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_that_only_imported_it_may_fork() -> None:
    program = """
    import os, sys
    import seekvl
    child = os.fork()
    if child == 0:
        print(len(seekvl.load(sys.argv[1]).ask(None, "Hello", max_new_tokens=3).tokens), flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
    """
    assert run(program, TINY).stdout == "3\n0\n"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_a_stream_that_is_dropped_ends_its_thread() -> None:
    program = """
    import gc, os, sys, time
    import seekvl
    def threads():
        return len(os.listdir("/proc/self/task"))
    model = seekvl.load(sys.argv[1])
    model.ask(None, "Hello", max_new_tokens=1)
    time.sleep(2)  # A thread without work ends after a second.
    before = threads()
    stream = model.ask(None, "Hello", max_new_tokens=4000, repetition_guard=False, stream=True)
    next(stream)
    during = threads()
    del stream
    gc.collect()
    deadline = time.monotonic() + 60
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    print(during - before, threads() - before)
    """
    assert run(program, TINY).stdout == "1 0\n"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks into /proc")
def test_a_thousand_calls_leak_nothing() -> None:
    program = """
    import gc, sys, tracemalloc
    import seekvl
    from pathlib import Path
    model = seekvl.load(sys.argv[1])
    content = Path(sys.argv[2]).read_bytes()
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    def calls(count):
        for number in range(count):
            answer = model.ask(content, "Why?", max_new_tokens=2, logprobs=1)
            if number % 10 == 0:
                list(model.ask(content, "Why?", max_new_tokens=2, stream=True))
                model.visual_tokens(content)
                answer.to_json(), answer.image.to_png()
                try:
                    model.ask(b"no image", "Why?")
                except seekvl.Error:
                    pass
        gc.collect()
    calls(100)
    tracemalloc.start()
    calls(20)
    before, objects = resident(), tracemalloc.get_traced_memory()[0]
    calls(1000)
    print(resident() - before, tracemalloc.get_traced_memory()[0] - objects)
    """
    done = run(program, TINY, str(PICTURES / "one.png"))
    memory, objects = map(int, done.stdout.split())
    # A call that keeps no more than the bytes of its picture's tiles would come to 14 MB.
    assert memory < 7_000_000
    assert objects < 100_000


def test_nothing_else_is_imported() -> None:
    program = """
    import sys
    before = set(sys.modules)
    import seekvl
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    heavy = {"asyncio", "numpy", "PIL", "torch", "ray", "supervision", "json", "hashlib", "multiprocessing"}
    print(sorted(new & heavy))
    print(seekvl.batch.Predictor.__name__, seekvl.AsyncModel.__name__)
    """
    done = run(program)
    assert done.stdout == "[]\nPredictor AsyncModel\n", done.stderr


def test_everything_public_is_there() -> None:
    for name in seekvl.__all__:
        assert getattr(seekvl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = seekvl.nothing
