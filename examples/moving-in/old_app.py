"""A small product as it is before it moves behind the gateway: it checks its own tokens and memberships, in its own database.

OLD_SECRET signs its tokens (HS256), OLD_DATABASE_URL is its Postgres. With GATEWAY_URL it also takes a caller whom the gateway vouches for: that is
the one change that a product needs. With OLD_LOGIN=off its own login is gone.
"""
import os
import sys
import time
import uuid
from typing import Annotated, Any

import bcrypt
import jwt
import psycopg
import uvicorn
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Response
from psycopg.rows import dict_row
from pydantic import BaseModel

SECRET = os.environ["OLD_SECRET"]
GATEWAY_URL = os.environ.get("GATEWAY_URL")
app = FastAPI()
keys = jwt.PyJWKClient(GATEWAY_URL + "/.well-known/jwks.json", lifespan=600, timeout=3) if GATEWAY_URL else None


def rows(statement: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(os.environ["OLD_DATABASE_URL"], row_factory=dict_row) as connection:
        result = connection.execute(statement, values)
        return result.fetchall() if result.description else []


def vouched(identity: str) -> dict[str, Any]:
    """The caller, as the gateway has checked them: everything that the old checks below look up."""
    try:
        claims = jwt.decode(identity, keys.get_signing_key_from_jwt(identity), algorithms=["EdDSA"], audience="crm", issuer="mandate-gateway", options={"strict_aud": True})
    except jwt.PyJWTError:
        raise HTTPException(401, "Invalid gateway identity")
    return {"username": claims["sub"], "mandateId": claims.get("mandateId"), "by": "gateway"}


def caller(
    auth_token: Annotated[str | None, Cookie()] = None,
    authorization: Annotated[str, Header()] = "",
    x_mandate_id: Annotated[str | None, Header()] = None,
    x_gateway_identity: Annotated[str, Header()] = "",
) -> dict[str, Any]:
    if keys and x_gateway_identity:
        return vouched(x_gateway_identity)
    token = auth_token or (authorization[7:] if authorization.startswith("Bearer ") else "")
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(401, "Invalid authentication credentials")
    known = rows('select 1 from "Token" where id = %s and status = %s', claims["jti"], "active")
    user = rows('select * from "UserInDB" where username = %s and enabled', claims["sub"])
    if not known or not user or user[0]["id"] != claims["userId"]:
        raise HTTPException(401, "Invalid authentication credentials")
    if not rows('select 1 from "UserMandate" where "userId" = %s and "mandateId" = %s and enabled', claims["userId"], x_mandate_id):
        raise HTTPException(403, "Not member of mandate")
    return {"username": claims["sub"], "mandateId": x_mandate_id, "by": "old token"}


def is_right(password: str, hashed: str) -> bool:
    """bcrypt is what this product always had; argon2 is what the gateway hashes with, for the way back."""
    if hashed.startswith("$2"):
        return bcrypt.checkpw(password.encode(), hashed.encode())
    try:
        return PasswordHasher().verify(hashed, password)
    except Argon2Error:
        return False


class Login(BaseModel):
    username: str
    password: str


@app.post("/api/login")
def login(body: Login, response: Response):
    if os.environ.get("OLD_LOGIN") == "off":
        raise HTTPException(404)
    found = rows('select * from "UserInDB" where username = %s and enabled', body.username)
    if not found or not is_right(body.password, found[0]["hashedPassword"] or ""):
        raise HTTPException(401, "Username or password is wrong")
    user, jti, now = found[0], str(uuid.uuid4()), time.time()
    rows('insert into "Token" (id, "userId", authority, "tokenPurpose", status, "createdAt", "expiresAt") values (%s, %s, %s, %s, %s, %s, %s)', jti, user["id"], "local", "auth_session", "active", now, now + 86400)
    claims = {"sub": user["username"], "userId": user["id"], "authenticationAuthority": "local", "jti": jti, "sid": None, "iat": int(now), "exp": int(now + 86400)}
    response.set_cookie("auth_token", jwt.encode(claims, SECRET, algorithm="HS256"), httponly=True, samesite="lax")
    return {"user": user["username"]}


@app.get("/api/crm/contacts")
def contacts(user: Annotated[dict[str, Any], Depends(caller)]):
    return {**user, "contacts": ["Ada", "Grace"]}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
