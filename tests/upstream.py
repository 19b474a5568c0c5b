"""A server for an app to call, which does as a test likes."""

import asyncio
import contextlib
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Upstream:
    """A bare server in a thread that counts its connections, and answers as it is told."""

    def __init__(self) -> None:
        self.opened = self.open = self.peak = 0
        self.reset()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/weather"

    def reset(self) -> None:
        self.delay = 0.0  # before the answer
        self.drip = 0.0  # between its bytes
        self.answer = OK

    def listen(self) -> None:
        start = asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()

    def go_down(self) -> None:
        async def close() -> None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    def close(self) -> None:
        async def cancel() -> None:
            await asyncio.sleep(0)  # who has just come gets as far as its `try`
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.go_down()
        asyncio.run_coroutine_threadsafe(cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.opened += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(self.delay)
                step = 1 if self.drip else len(self.answer) or 1
                for start in range(0, len(self.answer), step):
                    writer.write(self.answer[start : start + step])
                    await writer.drain()
                    await asyncio.sleep(self.drip)
                if self.answer is not OK:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
