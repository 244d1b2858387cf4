-- Where a wallet's history stood at a time. Its times rise with its sequences, so no index over times is needed.

-- +goose Up
-- +goose StatementBegin
create function sequence_before(of_partition integer, of_wallet uuid, moment timestamptz) returns bigint
language plpgsql stable strict parallel safe as $$
declare
  last bigint := coalesce((
    select sequence
    from operations
    where partition = of_partition and wallet_id = of_wallet and sequence is not null
    order by sequence desc
    limit 1
  ), 0);
  step bigint := 1;
  reached bigint := 0;
begin
  while step <= last loop
    step := step * 2;
  end loop;
  -- The steps do not hang on how long the history is: once nothing more is decided before the moment, the answer stays.
  while step > 1 loop
    step := step / 2;
    if (
      select decided_at
      from operations
      where partition = of_partition and wallet_id = of_wallet and sequence = reached + step
    ) < moment then
      reached := reached + step;
    end if;
  end loop;
  return reached;
end
$$;
-- +goose StatementEnd
comment on function sequence_before is 'The sequence of the wallet''s last operation decided before the moment; 0: none was. It reads one operation for each doubling of the history.';
