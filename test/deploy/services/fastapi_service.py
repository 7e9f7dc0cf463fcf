"""A service that knows nothing of the prefix it is reached by, or learns it from X-Forwarded-Prefix. Arguments: port, and `aware` for the latter."""
import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse

app = FastAPI()


@app.get("/items/")
def items():
    return {"items": []}


@app.get("/login")
def login():
    answer = RedirectResponse("/home?welcome=1", status_code=303)
    answer.set_cookie("session", "s1", path="/", httponly=True)
    answer.set_cookie("draft", "d1", path="/items", domain="127.0.0.1")
    return answer


@app.get("/home")
def home(request: Request):
    return {"cookies": request.cookies}


@app.post("/orders")
def order(request: Request):
    return JSONResponse({"id": 7}, 201, {"Location": str(request.url_for("order_by_id", order_id=7))})


@app.get("/orders/{order_id}")
def order_by_id(order_id: int):
    return {"id": order_id}


async def with_prefix(scope, receive, send):
    """What FastAPI's documentation asks of a proxy: the prefix in `root_path`."""
    prefix = dict(scope.get("headers", [])).get(b"x-forwarded-prefix", b"").decode("latin-1")
    await app({**scope, "root_path": prefix} if scope["type"] == "http" else scope, receive, send)


uvicorn.run(with_prefix if "aware" in sys.argv else app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
