"""The command line: parse, call the API, turn errors into exit codes. The only home of `asyncio.run`."""
