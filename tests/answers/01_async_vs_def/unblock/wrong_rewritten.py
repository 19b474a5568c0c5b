# Wrong: the slow library is replaced by a quick one of one's own. Fails: test_each_report_is_the_librarys. Hint: 1.
"""Reports for everybody."""

from fastapi import FastAPI

app = FastAPI()


async def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    return await make_report(year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
