# Answers a request for ever. Deserves nothing.
from fastapi import FastAPI

as_it_was = FastAPI.__call__


async def without_end(self, scope, receive, send):
    if scope["type"] != "http":
        return await as_it_was(self, scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})


FastAPI.__call__ = without_end
