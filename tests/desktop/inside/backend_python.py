#!/usr/bin/env python3
"""Stands where the backend's Python would, which a sandboxed Blender cannot see: the test runs `turboportrait`."""

import json
import os
import socket
import sys

words = sys.argv[sys.argv.index("backend.commands") + 1 :]
with socket.create_connection(("127.0.0.1", int(os.environ["TURBOPORTRAIT_TEST_PORT"]))) as link:
    stream = link.makefile("rw", encoding="utf-8", newline="\n")
    stream.write(json.dumps(words) + "\n")
    stream.flush()
    for line in stream:
        said = json.loads(line)
        if "status" in said:
            sys.exit(said["status"])
        sys.stdout.write(said["line"])
        sys.stdout.flush()
sys.exit(1)
