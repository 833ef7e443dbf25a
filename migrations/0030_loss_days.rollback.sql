DROP TABLE loss_days;
