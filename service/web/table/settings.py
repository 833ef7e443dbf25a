"""The rows of the settings."""

from typing import Final

from service.domain.errors import InvalidSetting, UnknownSetting
from service.web.api import settings
from service.web.contract.log_bodies import SettingChangesBody
from service.web.contract.parameters import PAGE, TextParameter
from service.web.contract.requests import (
    ChangeSettingBody,
    ChangeSettingsBody,
    ResetSettingsBody,
)
from service.web.contract.roles import Role
from service.web.contract.route import API, OK, STORE, RouteRow

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=f"{API}/config",
        name="list_settings",
        handler=settings.settings,
        role=Role.VIEWER,
        says=(
            "every setting with value, default, bounds, unit and sentence; `in_effect` is false"
            " where no code of this version reads it"
        ),
        answers={OK: settings.SettingsBody},
        problems=STORE,
        is_revalidated=True,
    ),
    RouteRow(
        method="PATCH",
        path=f"{API}/config",
        name="change_settings",
        handler=settings.change_many,
        role=Role.ADMIN,
        says=(
            'changes several settings or none: `{"trading_enabled": true, "min_confidence": 0.7}`'
        ),
        answers={OK: settings.ChangesBody},
        body=ChangeSettingsBody,
        problems=(UnknownSetting, InvalidSetting, *STORE),
    ),
    RouteRow(
        method="POST",
        path=f"{API}/config/reset",
        name="reset_settings",
        handler=settings.reset,
        role=Role.ADMIN,
        says='stores the defaults of `{"keys": [...]}`, or of all when the body is empty',
        answers={OK: settings.ChangesBody},
        body=ResetSettingsBody,
        problems=(UnknownSetting, InvalidSetting, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/config/changes",
        name="list_setting_changes",
        handler=settings.changes,
        role=Role.VIEWER,
        says="list of changes with author and time",
        answers={OK: SettingChangesBody},
        query=(TextParameter(name="key", says="of the setting"), *PAGE),
        problems=(UnknownSetting, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/config/{{key}}",
        name="get_setting",
        handler=settings.setting,
        role=Role.VIEWER,
        says="one setting",
        answers={OK: settings.SettingBody},
        problems=(UnknownSetting, *STORE),
        is_revalidated=True,
    ),
    RouteRow(
        method="PATCH",
        path=f"{API}/config/{{key}}",
        name="change_setting",
        handler=settings.change_one,
        role=Role.ADMIN,
        says='changes one: `{"value": 0.7}`; answers the setting, with `old_value`',
        answers={OK: settings.ChangedSettingBody},
        body=ChangeSettingBody,
        problems=(UnknownSetting, InvalidSetting, *STORE),
    ),
)
