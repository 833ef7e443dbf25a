"""Reads and changes the settings. The settings room stores them with their history."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from aiohttp import web
from typing_extensions import TypedDict

from service.domain.errors import InvalidRequest
from service.domain.instants import rfc3339
from service.ports.settings import SettingChange
from service.ports.store import JSON
from service.settings.checks import key_named
from service.settings.settings import SettingView
from service.settings.table import TABLE
from service.web.contract.requests import (
    ChangeSettingBody,
    ChangeSettingsBody,
    ResetSettingsBody,
)
from service.web.contract.scalars import Instant, Made
from service.web.keys import LISTS, SETTINGS
from service.web.protocol.auth import CALLER
from service.web.protocol.bodies import body_of, values_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.request_id import REQUEST_ID
from service.web.protocol.responses import json_response, list_response

AnyJson = Annotated[JSON, Made(object)]


class SettingBody(TypedDict):
    key: str
    value: AnyJson
    default: AnyJson
    is_default: bool
    in_effect: bool  #: false: stored and checked, but nothing in this version acts on it
    unit: str
    bounds: str
    sentence: str


class SettingsBody(TypedDict):
    items: list[SettingBody]
    next_cursor: None


class ChangedSettingBody(SettingBody):
    old_value: AnyJson  #: what the change replaced; equals `value` when nothing changed


class ChangeBody(TypedDict):
    key: str
    old_value: AnyJson  #: the stored value, or the default where none was stored
    new_value: AnyJson
    in_effect: bool  #: as in SettingBody
    changed_by: str
    changed_at: Instant


class ChangesBody(TypedDict):
    changes: list[ChangeBody]  #: empty when every value was stored already


async def settings(request: web.Request) -> web.Response:
    Query(request)
    return list_response([setting_body(view) for view in await request.app[SETTINGS].all()])


async def setting(request: web.Request) -> web.Response:
    Query(request)
    return json_response(setting_body(await request.app[SETTINGS].view(request.match_info["key"])))


async def changes(request: web.Request) -> web.Response:
    query = Query(request)
    page, name = window(query), query.text("key")
    key = None if name is None else key_named(name).name
    return page_response(
        await request.app[LISTS].config_changes(limit=page.limit, before=page.before, key=key)
    )


async def change_many(request: web.Request) -> web.Response:
    """Store all the given values or none of them."""
    Query(request)
    values = await values_of(request, ChangeSettingsBody)
    if not values:
        raise InvalidRequest('name what to change, like {"trading_enabled": true}')
    return json_response(_changes_body(await _changed(request, values)))


async def change_one(request: web.Request) -> web.Response:
    Query(request)
    key = key_named(request.match_info["key"])
    body = await body_of(request, ChangeSettingBody)
    changed = await _changed(request, {key.name: cast("JSON", body.value)})
    view = await request.app[SETTINGS].view(key.name)
    return json_response(changed_setting_body(view, changed))


async def reset(request: web.Request) -> web.Response:
    """Store the defaults of the named settings, or of all."""
    Query(request)
    body = await body_of(request, ResetSettingsBody)
    keys = [key_named(name) for name in body.keys or TABLE]
    defaults = {key.name: key.dump(key.default) for key in keys}
    return json_response(_changes_body(await _changed(request, defaults)))


async def _changed(request: web.Request, values: Mapping[str, JSON]) -> Sequence[SettingChange]:
    return await request.app[SETTINGS].change(
        values, by=request[CALLER].name, request_id=request[REQUEST_ID]
    )


def setting_body(view: SettingView) -> SettingBody:
    return SettingBody(
        key=view.key,
        value=view.value,
        default=view.default,
        is_default=view.is_default,
        in_effect=view.in_effect,
        unit=view.unit,
        bounds=view.bounds,
        sentence=view.sentence,
    )


def changed_setting_body(view: SettingView, changed: Sequence[SettingChange]) -> ChangedSettingBody:
    # From the write itself: a look before it could miss a change that came between.
    old = changed[0].old if changed else view.value
    return ChangedSettingBody(**setting_body(view), old_value=old)


def _changes_body(changed: Sequence[SettingChange]) -> ChangesBody:
    return ChangesBody(
        changes=[
            ChangeBody(
                key=change.key,
                old_value=change.old,
                new_value=change.new,
                in_effect=TABLE[change.key].in_effect,
                changed_by=change.changed_by,
                changed_at=rfc3339(change.changed_at),
            )
            for change in changed
        ]
    )
