-- What each Korean day began with, and what its loss has led to, by quote currency. It is fixed when
-- the day's loss is first asked for, so that a restart counts from the same start.
CREATE TABLE loss_days (
    quote        text        NOT NULL CHECK (length(quote) BETWEEN 1 AND 10),
    day          date        NOT NULL,
    -- The minute of equity_snapshots that these are of.
    start_at     timestamptz NOT NULL,
    start_equity numeric     NOT NULL CHECK (start_equity >= 0),
    -- Of our positions: realised and open, less fees.
    start_pnl    numeric     NOT NULL,
    -- When the loss had reached 80 per cent of its limit.
    warned_at    timestamptz,
    -- The loss at an operator's resume: only what is lost beyond it halts again.
    excused_at   timestamptz,
    excused_loss numeric     CHECK (excused_loss >= 0),
    PRIMARY KEY (quote, day),
    CHECK ((excused_at IS NULL) = (excused_loss IS NULL))
);
