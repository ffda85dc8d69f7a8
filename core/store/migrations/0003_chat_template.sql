-- The named template that conversations of the run were written with, which "auto" in its config had been resolved to.
ALTER TABLE runs ADD COLUMN chat_template TEXT NOT NULL DEFAULT '';
