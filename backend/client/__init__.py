"""The client that every host uses to talk to the render backend. Never imports torch.

backend = BackendProcess.start(python)             # or find_backend() for one that runs already
client = Client(backend.wait_ready())
avatar = client.register(photo_bytes).avatar       # waits
handle = client.submit(Render, avatar=avatar, ...) # never waits
for handle, reply in client.poll(): ...            # never waits
"""

from backend.client.client import Client, Rendered
from backend.client.discovery import Endpoint, find_backend
from backend.client.handle import Handle
from backend.client.keys import Keys
from backend.client.process import BackendProcess
from backend.protocol.errors import BackendLost, BackendUnreachable, TurboPortraitError

__all__ = [
    "BackendLost",
    "BackendProcess",
    "BackendUnreachable",
    "Client",
    "Endpoint",
    "Handle",
    "Keys",
    "Rendered",
    "TurboPortraitError",
    "find_backend",
]
