-- What the operator may change while the service runs, and who changed what.

CREATE TABLE system_configs (
    key        text PRIMARY KEY,
    value      jsonb       NOT NULL,
    updated_by text        NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE config_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text        NOT NULL,
    -- NULL: the setting had never been stored, its default was in force.
    old_value  jsonb,
    new_value  jsonb       NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL,
    request_id text
);

CREATE INDEX config_changes_changed_at ON config_changes (changed_at DESC, id DESC);
CREATE INDEX config_changes_key_changed_at ON config_changes (key, changed_at DESC, id DESC);

CREATE TABLE audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text        NOT NULL,
    action     text        NOT NULL,
    subject    text        NOT NULL,
    detail     jsonb       NOT NULL DEFAULT '{}',
    request_id text
);

CREATE INDEX audit_log_at ON audit_log (at DESC, id DESC);
