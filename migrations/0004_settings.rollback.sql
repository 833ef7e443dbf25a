DROP TABLE audit_log;
DROP TABLE config_changes;
DROP TABLE system_configs;
