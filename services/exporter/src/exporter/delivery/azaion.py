"""The documented Azaion forms, tolerant in what is inferred: field names in any case, files in any field of a form.

POST /login                      {email, password} → {token}
POST /resources/{folder}         a form with one file; who may upload; the last one of a name wins
POST /resources/get/{folder}     {password, hardware, fileName} → the file in the legacy form, under a key bound to
                                 person, password and hardware (see hardware.py); of a legacy twin: its small part
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from exporter.delivery.api import Credentials, address_of
from exporter.delivery.callers import Caller
from exporter.delivery.desk import Desk
from exporter.delivery.hardware import hardware_string, plainly
from exporter.delivery.problems import Problem, forms
from exporter.delivery.resources import Resources, Wish
from exporter.delivery.sending import FileResponse
from exporter.delivery.uploads import file_name, folder_name, read_upload
from labelstream.values import Sha256

_HARDWARE = {"cpu": "Ryzen 7", "gpu": "RTX 4070", "memory": "32 GB", "driveSerial": "S6P…"}
_LOGIN = {"email": "ada@example.org", "password": "…"}
_GET = {"password": "…", "hardware": _HARDWARE, "fileName": "detector.onnx"}


class TokenAnswer(BaseModel):
    """The token of a login."""

    token: str


class StoredAnswer(BaseModel):
    """What was stored."""

    folder: str
    file: str
    sha256: Sha256
    size_bytes: int


def azaion_routes(desk: Desk, resources: Resources) -> APIRouter:
    """Return the routes over what `resources` hold."""
    router = APIRouter(tags=["azaion"])

    async def person(shown: Credentials) -> Caller:
        caller = await desk.caller(shown.credentials if shown else None)
        caller.as_user("resources")
        return caller

    @router.post("/login", responses=forms(400, 401, 403, 422, 429, 503), openapi_extra=_json_body(_LOGIN))
    async def login(request: Request) -> TokenAnswer:
        """Show e-mail address and password for a token."""
        body = await _fields(request)
        email, password = _text(body, "email"), _text(body, "password")
        return TokenAnswer(token=await desk.log_in(email, password, address_of(request), with_email=True))

    @router.post(
        "/resources/get/{folder}",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, **forms(400, 401, 403, 404, 410, 422, 429, 503)},
        openapi_extra=_json_body(_GET),
    )
    async def get_resource(request: Request, folder: str, called: Caller = Depends(person)) -> Response:
        """Fetch a file, protected for one person on one machine."""
        body = await _fields(request)
        hardware = hardware_string(body.get("hardware"))
        if hardware is None:
            raise _malformed("hardware is missing: a string, or a table with cpu, gpu, memory and driveSerial")
        wish = Wish(
            folder=folder_name(folder),
            file=file_name(_text(body, "filename")),
            email=str(body["email"]) if isinstance(body.get("email"), str) else None,
            password=_text(body, "password"),
            hardware=hardware,
        )
        leave = resources.places.take(called.who)
        try:
            content = await resources.fetch(wish, called, address_of(request))
        except BaseException:
            leave()
            raise
        return FileResponse(content, leave, resources.piece_timeout_s)

    @router.post(
        "/resources/{folder}", responses=forms(400, 401, 403, 408, 409, 413, 422, 429, 503), openapi_extra=_FORM
    )
    async def upload(request: Request, folder: str, called: Caller = Depends(person)) -> StoredAnswer:
        """Store a file; an older one of the name is written over."""
        named = folder_name(folder)
        resources.check_may_upload(called, named)
        async with resources.uploading:
            content = await read_upload(request, resources.most_bytes)
            digest = await resources.store(named, content, called, address_of(request))
        return StoredAnswer(folder=named, file=content.name, sha256=digest, size_bytes=len(content.content))

    return router


async def _fields(request: Request) -> dict[str, Any]:
    """Return the fields of a JSON body by plain names. Raises Problem."""
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate is JSON, and no text: nothing is made of it
    except (ValueError, RecursionError):
        raise _malformed("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _malformed("the body is no JSON object")
    return plainly(body)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _malformed(f"{name} is missing, or no text")
    if len(value) > 1024:
        raise _malformed(f"{name} has {len(value)} letters; 1024 are enough")
    return value


def _malformed(reason: str) -> Problem:
    return Problem(400, "request-malformed", reason, "See /openapi.json for an example.")


def _json_body(example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_FILE_FORM = {"type": "object", "properties": {"data": {"type": "string", "format": "binary"}}}
_FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FILE_FORM}}}}
