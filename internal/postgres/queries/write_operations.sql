-- Append operations to the history. The rows follow in COPY's binary format, in
-- the order of its list of columns.
-- Locks: the new rows.
copy operations (@row) from stdin (format binary)
