-- What the migrations add up to. Made from them; do not edit.
-- Roles are not part of a dump: monedero_service must exist.

CREATE FUNCTION public.change_digest(previous bytea, number bigint, at timestamp with time zone, chain integer, id uuid, owner uuid, key_id uuid, operation_id uuid, role text, person text, login text, action text, about text, reason text, request_id text, before jsonb, after jsonb) RETURNS bytea
    LANGUAGE sql STABLE
    AS $_$
  select sha256($1 || convert_to(jsonb_build_array('monedero change 1', $2, (extract(epoch from $3) * 1000000)::bigint, $4, $5, $6, $7,
    $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)::text, 'UTF8'))
$_$;

CREATE FUNCTION public.conflict_digest(partition integer, log integer, log_offset bigint, created_at timestamp with time zone, operation_id uuid, fingerprint bytea) RETURNS bytea
    LANGUAGE sql STABLE
    AS $_$
  select sha256(convert_to(concat_ws('|', 'monedero conflict 1', $1, $2, $3,
    (extract(epoch from $4) * 1000000)::bigint, $5, encode($6, 'hex')), 'UTF8'))
$_$;

CREATE FUNCTION public.dead_letter_digest(partition integer, log integer, log_offset bigint, record_time timestamp with time zone, created_at timestamp with time zone, operation_id uuid, key bytea, value bytea, headers jsonb, reason text) RETURNS bytea
    LANGUAGE sql STABLE
    AS $_$
  select sha256(convert_to(concat_ws('|', 'monedero dead letter 1', $1, $2, $3,
    coalesce((extract(epoch from $4) * 1000000)::bigint::text, '-'), (extract(epoch from $5) * 1000000)::bigint,
    coalesce($6::text, '-'), coalesce(encode(sha256($7), 'hex'), '-'), coalesce(encode(sha256($8), 'hex'), '-'),
    encode(sha256(convert_to($9::text, 'UTF8')), 'hex'), encode(sha256(convert_to($10, 'UTF8')), 'hex')), 'UTF8'))
$_$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end
$$;

CREATE FUNCTION public.seal_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  previous bytea;
begin
  if new.digest is not null then
    return new; -- the data of a dump comes sealed; services may not write the column
  end if;
  insert into change_chains as c (chain, last_number, last_digest) values (new.chain, 1, '')
  on conflict (chain) do update set last_number = c.last_number + 1
  returning c.last_number, c.last_digest into new.number, previous;
  new.at := coalesce(new.at, clock_timestamp());
  new.digest := change_digest(previous, new.number, new.at, new.chain, new.id, new.owner, new.key_id, new.operation_id, new.role,
    new.person, new.login, new.action, new.about, new.reason, new.request_id, new.before, new.after);
  update change_chains set last_digest = new.digest where chain = new.chain;
  return new;
end
$$;

CREATE FUNCTION public.seal_conflict() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public'
    AS $$
begin
  new.digest := conflict_digest(new.partition, new.log, new.log_offset, new.created_at, new.operation_id, new.fingerprint);
  return new;
end
$$;

CREATE FUNCTION public.seal_dead_letter() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public'
    AS $$
begin
  new.digest := dead_letter_digest(new.partition, new.log, new.log_offset, new.record_time, new.created_at, new.operation_id,
    new.key, new.value, new.headers, new.reason);
  return new;
end
$$;

CREATE FUNCTION public.sequence_before(of_partition integer, of_wallet uuid, moment timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    AS $$
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

COMMENT ON FUNCTION public.sequence_before(of_partition integer, of_wallet uuid, moment timestamp with time zone) IS 'The sequence of the wallet''s last operation decided before the moment; 0: none was. It reads one operation for each doubling of the history.';

CREATE TABLE public.account_balances (
    partition integer NOT NULL,
    account_id uuid NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE public.account_balances IS 'What merchants are owed, and under the zero ID minus what came in and did not go out: a part of each balance in every partition.';

CREATE TABLE public.api_keys (
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    id uuid NOT NULL,
    merchant_id uuid,
    client_id uuid,
    role text NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    rate integer,
    CONSTRAINT api_keys_rate_check CHECK (((rate >= 1) AND (rate <= 100000))),
    CONSTRAINT api_keys_role_check CHECK ((((role = 'merchant'::text) AND (merchant_id IS NOT NULL) AND (client_id IS NULL)) OR ((role = 'client'::text) AND (client_id IS NOT NULL) AND (merchant_id IS NULL)) OR ((role = 'operator'::text) AND (merchant_id IS NULL) AND (client_id IS NULL)))),
    CONSTRAINT api_keys_secret_hash_check CHECK ((octet_length(secret_hash) = 32))
);

COMMENT ON TABLE public.api_keys IS 'API keys; their secrets only as SHA-256.';

COMMENT ON COLUMN public.api_keys.rate IS 'How many requests a second each ingest takes under the key, and as many at once; null: any number.';

CREATE TABLE public.change_chains (
    last_number bigint NOT NULL,
    chain integer NOT NULL,
    last_digest bytea NOT NULL
);

COMMENT ON TABLE public.change_chains IS 'Where each chain of changes ends: its lock, and how verify finds that its last rows are gone.';

CREATE TABLE public.changes (
    number bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    chain integer NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    owner uuid,
    key_id uuid,
    operation_id uuid,
    role text NOT NULL,
    person text,
    login text DEFAULT SESSION_USER NOT NULL,
    action text NOT NULL,
    about text NOT NULL,
    reason text,
    request_id text,
    before jsonb,
    after jsonb,
    digest bytea NOT NULL,
    CONSTRAINT changes_action_check CHECK ((action = ANY (ARRAY['client_created'::text, 'merchant_created'::text, 'merchant_suspended'::text, 'merchant_resumed'::text, 'api_key_created'::text, 'api_key_rotated'::text, 'api_key_revoked'::text, 'deployment_changed'::text, 'progress_set'::text, 'dead_letter_discarded'::text, 'dead_letter_submitting'::text, 'dead_letter_submitted'::text]))),
    CONSTRAINT changes_chain_check CHECK ((chain >= '-1'::integer)),
    CONSTRAINT changes_letter_check CHECK (((action !~~ 'dead_letter_%'::text) OR ((chain >= 0) AND (after ? 'step'::text) AND (split_part(about, '/'::text, 3) <> ''::text) AND ((operation_id IS NULL) = (action = 'dead_letter_discarded'::text))))),
    CONSTRAINT changes_progress_check CHECK (((action <> 'progress_set'::text) OR ((chain >= 0) AND (after ?& ARRAY['log'::text, 'offset'::text, 'epoch'::text])))),
    CONSTRAINT changes_role_check CHECK ((role = ANY (ARRAY['merchant'::text, 'client'::text, 'operator'::text]))),
    CONSTRAINT changes_text_check CHECK (((about <> ''::text) AND (person <> ''::text) AND (reason <> ''::text) AND (request_id <> ''::text)))
);

COMMENT ON TABLE public.changes IS 'What somebody changed that is no operation, who and why: append-only, each chain sealed by digests.';

COMMENT ON COLUMN public.changes.number IS 'Place in the chain, 1, 2, 3 ...';

COMMENT ON COLUMN public.changes.chain IS 'The partition that it is about; -1: of none.';

COMMENT ON COLUMN public.changes.owner IS 'The merchant or client whose key asked; null: an operator.';

COMMENT ON COLUMN public.changes.key_id IS 'The key that asked; null: a person at the command line.';

COMMENT ON COLUMN public.changes.operation_id IS 'The operation that a dead letter was submitted as.';

COMMENT ON COLUMN public.changes.person IS 'Who ran the command, and where; null: it came over the API.';

COMMENT ON COLUMN public.changes.login IS 'As whom the command or the service logged in to the database.';

COMMENT ON COLUMN public.changes.about IS 'What was changed: an ID, a partition, the place of a dead letter, a part of the deployment.';

COMMENT ON COLUMN public.changes.before IS 'What changed, as it was: flat, of texts. Never a secret, nor its hash.';

COMMENT ON COLUMN public.changes.digest IS 'Seal over the row and the digest of the one before it in its chain.';

CREATE TABLE public.clients (
    created_at timestamp with time zone NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL
);

COMMENT ON TABLE public.clients IS 'Who owns wallets.';

CREATE TABLE public.conflicts (
    log_offset bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer NOT NULL,
    log integer NOT NULL,
    operation_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT conflicts_fingerprint_check CHECK ((octet_length(fingerprint) = 32))
);

COMMENT ON TABLE public.conflicts IS 'Requests that came under the ID of another operation: they had no effect.';

COMMENT ON COLUMN public.conflicts.digest IS 'Seal over all other columns.';

CREATE VIEW public.dead_letter_resolutions AS
 SELECT changes.chain AS partition,
    (NULLIF(split_part(changes.about, '/'::text, 2), ''::text))::integer AS log,
    (NULLIF(split_part(changes.about, '/'::text, 3), ''::text))::bigint AS log_offset,
    ((changes.after ->> 'step'::text))::integer AS number,
    changes.at AS created_at,
    substr(changes.action, 13) AS action,
    changes.operation_id,
    ((changes.after ->> 'partition'::text))::integer AS to_partition,
    ((changes.after ->> 'offset'::text))::bigint AS to_offset,
    changes.person AS resolved_by,
    changes.reason
   FROM public.changes
  WHERE (changes.action ~~ 'dead_letter_%'::text);

COMMENT ON VIEW public.dead_letter_resolutions IS 'What people did about dead letters, step by step. Submitting is written before the record is, submitted once it is known to be.';

CREATE TABLE public.dead_letters (
    log_offset bigint NOT NULL,
    record_time timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer NOT NULL,
    log integer NOT NULL,
    operation_id uuid,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    reason text NOT NULL,
    digest bytea NOT NULL
);

COMMENT ON TABLE public.dead_letters IS 'Records that could not be decided, as they came.';

COMMENT ON COLUMN public.dead_letters.record_time IS 'Null where the record''s time is none that a timestamp can hold.';

COMMENT ON COLUMN public.dead_letters.operation_id IS 'The failed operation, or the conflict, recorded beside it; null: the record is no operation.';

COMMENT ON COLUMN public.dead_letters.headers IS 'In order, each {"key", "value"}, both in base64.';

COMMENT ON COLUMN public.dead_letters.digest IS 'Seal over all other columns.';

CREATE VIEW public.dead_letter_states AS
 SELECT d.log_offset,
    d.record_time,
    d.created_at,
    d.partition,
    d.log,
    d.operation_id,
    d.key,
    d.value,
    d.headers,
    d.reason,
    d.digest,
    ((EXISTS ( SELECT 1
           FROM public.dead_letter_resolutions r
          WHERE ((r.partition = d.partition) AND (r.log = d.log) AND (r.log_offset = d.log_offset) AND (r.action <> 'submitting'::text)))) OR COALESCE((d.value IN ( SELECT c.value
           FROM (public.dead_letter_resolutions r
             JOIN public.dead_letters c ON (((c.partition = r.partition) AND (c.log = r.log) AND (c.log_offset = r.log_offset))))
          WHERE (r.action <> 'submitting'::text))), false)) AS done
   FROM public.dead_letters d;

COMMENT ON VIEW public.dead_letter_states IS 'Dead letters, and whether people are done with each, or with any that has the same value.';

CREATE TABLE public.deployment (
    partitions integer NOT NULL,
    one_row boolean DEFAULT true NOT NULL,
    topic text NOT NULL,
    cluster_id text NOT NULL,
    secret_check bytea NOT NULL,
    consumer_group text NOT NULL,
    history integer DEFAULT 1 NOT NULL,
    CONSTRAINT deployment_history_check CHECK ((history >= 1)),
    CONSTRAINT deployment_one_row_check CHECK (one_row),
    CONSTRAINT deployment_partitions_check CHECK (((partitions >= 1) AND (partitions <= 65536) AND ((partitions & (partitions - 1)) = 0))),
    CONSTRAINT deployment_secret_check_check CHECK ((octet_length(secret_check) = 16))
);

COMMENT ON TABLE public.deployment IS 'The one topic that this database belongs to, and a check value of the secret behind the IDs.';

COMMENT ON COLUMN public.deployment.consumer_group IS 'The consumer group of the processors: two groups would take every partition from each other for ever.';

COMMENT ON COLUMN public.deployment.history IS '1, and one more each time that the database was recovered after it had been restored.';

CREATE TABLE public.holds (
    expires_at timestamp with time zone NOT NULL,
    partition integer NOT NULL,
    id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    invoice_key uuid
);

COMMENT ON TABLE public.holds IS 'The holds that are open: a row comes and goes with each.';

CREATE TABLE public.mandates (
    valid_until timestamp with time zone,
    max_amount bigint,
    per_day bigint,
    per_month bigint,
    total bigint,
    used_on_day bigint NOT NULL,
    used_in_month bigint NOT NULL,
    used bigint NOT NULL,
    partition integer NOT NULL,
    day integer NOT NULL,
    wallet_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    given boolean NOT NULL,
    CONSTRAINT mandates_used_check CHECK (((used_on_day >= 0) AND (used_in_month >= used_on_day) AND (used >= used_in_month) AND (used <= '9007199254740991'::bigint)))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.mandates IS 'What owners of wallets let merchants take, and what was used of it: a row for each mandate that was ever given.';

COMMENT ON COLUMN public.mandates.day IS 'The last day that something counts for, since 1970-01-01, in UTC; 0: none does.';

COMMENT ON COLUMN public.mandates.given IS 'False: it was revoked.';

CREATE TABLE public.merchants (
    created_at timestamp with time zone NOT NULL,
    suspended boolean DEFAULT false NOT NULL,
    id uuid NOT NULL,
    owner uuid,
    name text NOT NULL
);

COMMENT ON TABLE public.merchants IS 'Who charges wallets.';

COMMENT ON COLUMN public.merchants.owner IS 'The client whose own wallets the merchant may not charge.';

CREATE TABLE public.operations (
    log_offset bigint,
    sequence bigint,
    amount bigint,
    balance_after bigint,
    received_at timestamp with time zone,
    decided_at timestamp with time zone NOT NULL,
    apply_before timestamp with time zone,
    partition integer NOT NULL,
    log integer,
    id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    merchant_id uuid,
    client_id uuid,
    duplicate_of uuid,
    kind text,
    reason text,
    currency text,
    status_after text,
    fingerprint bytea NOT NULL,
    digest bytea NOT NULL,
    idempotency_key text,
    invoice text,
    invoice_key uuid,
    description text,
    metadata text,
    note text,
    limit_after bigint,
    "position" bigint NOT NULL,
    seal integer NOT NULL,
    merchant_owner uuid,
    asker_id uuid,
    asker_key uuid,
    merchant_state text,
    asker_role text,
    refers_to uuid,
    moved bigint,
    left_after bigint,
    expires_in bigint,
    rest text,
    held_after bigint,
    charges text,
    max_amount bigint,
    per_day bigint,
    per_month bigint,
    total bigint,
    valid_until timestamp with time zone,
    mandate_day integer,
    mandate_limit text,
    reference text,
    CONSTRAINT operations_check CHECK (((amount >= 1) AND (amount <= '9007199254740991'::bigint) AND ((invoice IS NULL) = (invoice_key IS NULL))))
);

ALTER TABLE ONLY public.operations ALTER COLUMN partition SET (n_distinct=1);

COMMENT ON TABLE public.operations IS 'What was asked of wallets and what came of it: append-only, sealed by digests, the source of every balance.';

COMMENT ON COLUMN public.operations.sequence IS 'Place in the wallet''s history, 1, 2, 3 ...; null: the wallet does not know of it.';

COMMENT ON COLUMN public.operations.partition IS 'Bucket of the wallet mod number of partitions.';

COMMENT ON COLUMN public.operations.log IS 'Number of the log that the record came from; null: direct, no record.';

COMMENT ON COLUMN public.operations.kind IS 'Null only where the record''s kind is not one of ours.';

COMMENT ON COLUMN public.operations.reason IS 'Why it failed; null: accepted.';

COMMENT ON COLUMN public.operations.invoice_key IS 'First 16 bytes of a hash of merchant and invoice, kept as a uuid for its fixed size.';

COMMENT ON COLUMN public.operations.metadata IS 'Canonical JSON, as text: what was sealed is what is read.';

COMMENT ON COLUMN public.operations.note IS 'Of an operator to operators: no client and no merchant is shown it.';

COMMENT ON COLUMN public.operations.limit_after IS 'The credit limit in force after it.';

COMMENT ON COLUMN public.operations."position" IS 'Place among all operations of the partition, in the order of commits: 1, 2, 3 ... without gaps.';

COMMENT ON COLUMN public.operations.seal IS 'Version of what the digest covers.';

COMMENT ON COLUMN public.operations.merchant_owner IS 'The client that owned the merchant.';

COMMENT ON COLUMN public.operations.asker_id IS 'The merchant or the client that asked.';

COMMENT ON COLUMN public.operations.asker_key IS 'The API key that it was asked with.';

COMMENT ON COLUMN public.operations.merchant_state IS 'What was found of the merchant: active or suspended; null: none was asked for, or found.';

COMMENT ON COLUMN public.operations.asker_role IS 'Who asked: merchant, client, operator or system.';

COMMENT ON COLUMN public.operations.refers_to IS 'The operation that it refers to: of a refund the charge or the capture; of a capture, a release and an expire the hold.';

COMMENT ON COLUMN public.operations.moved IS 'What it moved, where it refers to an operation: its amount, or all that was left. Null: nothing.';

COMMENT ON COLUMN public.operations.left_after IS 'How much of what it refers to could still be moved after it; or how much a mandate would have let through.';

COMMENT ON COLUMN public.operations.expires_in IS 'Of a hold: how many seconds it was to be open at most, from its decision on.';

COMMENT ON COLUMN public.operations.rest IS 'Of a capture: kept, where what it left stays held. Null: it was given back.';

COMMENT ON COLUMN public.operations.held_after IS 'What open holds kept from being charged after it. Null: nothing.';

COMMENT ON COLUMN public.operations.charges IS 'Of an open: mandated, where only merchants with a mandate may charge the wallet. Null: anyone may.';

COMMENT ON COLUMN public.operations.max_amount IS 'Of a grant: the most of one charge or hold. Null: no limit.';

COMMENT ON COLUMN public.operations.per_day IS 'Of a grant: the most of a day.';

COMMENT ON COLUMN public.operations.per_month IS 'Of a grant: the most of a month.';

COMMENT ON COLUMN public.operations.total IS 'Of a grant: the most in all.';

COMMENT ON COLUMN public.operations.valid_until IS 'Of a grant: from when on it lets nothing through.';

COMMENT ON COLUMN public.operations.mandate_day IS 'Of a charge or a hold that used a mandate: for which day, since 1970-01-01, in UTC.';

COMMENT ON COLUMN public.operations.mandate_limit IS 'Of a mandate_limit_exceeded: which. What it would have let through is in left_after.';

COMMENT ON COLUMN public.operations.reference IS 'Of a top-up and a withdrawal: that of the transfer outside.';

CREATE VIEW public.movements AS
 SELECT operations.partition,
    operations.id AS operation_id,
    operations.currency,
        CASE
            WHEN (operations.kind = ANY (ARRAY['charge'::text, 'refund'::text, 'capture'::text])) THEN operations.merchant_id
            ELSE '00000000-0000-0000-0000-000000000000'::uuid
        END AS account_id,
        CASE operations.kind
            WHEN 'top_up'::text THEN (- operations.amount)
            WHEN 'refund'::text THEN (- operations.moved)
            WHEN 'capture'::text THEN operations.moved
            ELSE operations.amount
        END AS amount
   FROM public.operations
  WHERE ((operations.reason IS NULL) AND (operations.kind = ANY (ARRAY['charge'::text, 'top_up'::text, 'withdraw'::text, 'refund'::text, 'capture'::text])));

COMMENT ON VIEW public.movements IS 'What each accepted operation adds to an account besides its wallet, which loses the same: a row where money moves.';

CREATE TABLE public.partition_progress (
    first_offset bigint DEFAULT 0 NOT NULL,
    next_offset bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    settled bigint DEFAULT 0 NOT NULL,
    duplicates bigint DEFAULT 0 NOT NULL,
    conflicts bigint DEFAULT 0 NOT NULL,
    dead bigint DEFAULT 0 NOT NULL,
    gaps bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    partition integer NOT NULL,
    log integer DEFAULT 1 NOT NULL,
    topic text NOT NULL,
    owner text,
    last_record bytea,
    halted_at timestamp with time zone,
    halt_cause text,
    moved_epoch bigint DEFAULT 0 NOT NULL,
    last_position bigint DEFAULT 0 NOT NULL,
    goal bigint,
    CONSTRAINT partition_progress_counts_check CHECK (((((((settled + duplicates) + conflicts) + dead) + gaps) = (next_offset - first_offset)) AND (LEAST(settled, duplicates, conflicts, dead, gaps, first_offset, moved_epoch, (epoch - moved_epoch), ((log - 1))::bigint) >= 0))),
    CONSTRAINT partition_progress_goal_check CHECK (((goal IS NULL) OR ((goal > next_offset) AND (halt_cause IS NOT NULL) AND (owner IS NULL)))),
    CONSTRAINT partition_progress_last_record_check CHECK ((octet_length(last_record) = 32))
)
WITH (fillfactor='20');

COMMENT ON TABLE public.partition_progress IS 'How far each partition is settled, under which claim, and what became of every offset since first_offset.';

COMMENT ON COLUMN public.partition_progress.last_record IS 'Hash of the record at next_offset - 1; null: no record there, nothing to compare.';

COMMENT ON COLUMN public.partition_progress.halt_cause IS 'Why the partition''s owner settles nothing; null: it does not say that it halts.';

COMMENT ON COLUMN public.partition_progress.moved_epoch IS 'The epoch under which the progress came to next_offset: who sets it back, raises it.';

COMMENT ON COLUMN public.partition_progress.last_position IS 'Of the last operation; made from the operations.';

COMMENT ON COLUMN public.partition_progress.goal IS 'The offset that a move which is not finished is to come to: no claim until then. Null: none.';

CREATE VIEW public.progress_changes AS
 SELECT changes.chain AS partition,
    ((changes.before ->> 'log'::text))::integer AS from_log,
    ((changes.before ->> 'offset'::text))::bigint AS from_offset,
    ((changes.after ->> 'log'::text))::integer AS to_log,
    ((changes.after ->> 'offset'::text))::bigint AS to_offset,
    ((changes.after ->> 'epoch'::text))::bigint AS epoch
   FROM public.changes
  WHERE (changes.action = 'progress_set'::text);

COMMENT ON VIEW public.progress_changes IS 'When a person moved the progress of a partition, and from where to where. From null: it had no progress.';

CREATE TABLE public.verifications (
    verified_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    operations bigint NOT NULL,
    violations bigint NOT NULL,
    verified_by text NOT NULL,
    CONSTRAINT verifications_counts_check CHECK (((operations >= 0) AND (violations >= 0)))
);

COMMENT ON TABLE public.verifications IS 'Each run of monedero verify over everything: a metric tells how long ago the last one was.';

CREATE TABLE public.wallets (
    balance bigint NOT NULL,
    credit_limit bigint DEFAULT 0 NOT NULL,
    last_sequence bigint NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    partition integer NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    last_digest bytea NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    open_holds bigint DEFAULT 0 NOT NULL,
    charges text,
    CONSTRAINT wallets_check CHECK (((held >= 0) AND (held <= (balance + credit_limit)) AND (balance <= '9007199254740991'::bigint) AND (charges = 'mandated'::text)))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.wallets IS 'Prepaid money of clients, as each wallet''s last operation left it.';

COMMENT ON COLUMN public.wallets.held IS 'What its open holds keep from being charged.';

COMMENT ON COLUMN public.wallets.open_holds IS 'How many of its holds are open.';

COMMENT ON COLUMN public.wallets.charges IS 'Mandated: only merchants with a mandate may charge it. Null: anyone may.';

ALTER TABLE ONLY public.account_balances
    ADD CONSTRAINT account_balances_pkey PRIMARY KEY (partition, account_id, currency);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.change_chains
    ADD CONSTRAINT change_chains_pkey PRIMARY KEY (chain);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (chain, number);

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conflicts
    ADD CONSTRAINT conflicts_pkey PRIMARY KEY (partition, log, log_offset);

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (partition, log, log_offset);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_pkey PRIMARY KEY (one_row);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (id, partition);

ALTER TABLE ONLY public.mandates
    ADD CONSTRAINT mandates_pkey PRIMARY KEY (wallet_id, merchant_id, partition);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (partition, id);

ALTER TABLE ONLY public.partition_progress
    ADD CONSTRAINT partition_progress_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (verified_at);

ALTER TABLE ONLY public.wallets
    ADD CONSTRAINT wallets_pkey PRIMARY KEY (partition, id);

CREATE INDEX api_keys_created_idx ON public.api_keys USING btree (created_at, id);

CREATE INDEX api_keys_owner_idx ON public.api_keys USING btree (COALESCE(merchant_id, client_id), created_at, id);

CREATE INDEX changes_about_idx ON public.changes USING btree (about, at, id);

CREATE INDEX changes_at_idx ON public.changes USING btree (at, id);

CREATE UNIQUE INDEX changes_letter_key ON public.changes USING btree (chain, ((NULLIF(split_part(about, '/'::text, 2), ''::text))::integer), ((NULLIF(split_part(about, '/'::text, 3), ''::text))::bigint), (((after ->> 'step'::text))::integer)) WHERE (action ~~ 'dead_letter_%'::text);

CREATE INDEX changes_progress_idx ON public.changes USING btree (chain) WHERE (action = 'progress_set'::text);

CREATE INDEX clients_created_idx ON public.clients USING btree (created_at, id);

CREATE INDEX conflicts_operation_id_idx ON public.conflicts USING btree (partition, operation_id);

CREATE INDEX holds_expires_at_idx ON public.holds USING btree (partition, expires_at);

CREATE INDEX holds_wallet_idx ON public.holds USING btree (wallet_id, invoice_key, partition);

CREATE INDEX merchants_created_idx ON public.merchants USING btree (created_at, id);

CREATE INDEX operations_decided_at_idx ON public.operations USING brin (decided_at);

CREATE INDEX operations_holds_idx ON public.operations USING btree (partition, wallet_id, invoice_key, "position") WHERE ((kind = 'hold'::text) AND (reason IS NULL));

CREATE UNIQUE INDEX operations_invoice_accepted_key ON public.operations USING btree (invoice_key, wallet_id, partition) WHERE ((kind = ANY (ARRAY['charge'::text, 'capture'::text])) AND (reason IS NULL) AND (invoice_key IS NOT NULL));

CREATE INDEX operations_invoice_failed_idx ON public.operations USING btree (invoice_key, wallet_id, "position") WHERE ((reason IS NOT NULL) AND (invoice_key IS NOT NULL));

CREATE INDEX operations_merchant_idx ON public.operations USING btree (merchant_id, decided_at, id) WHERE (merchant_id IS NOT NULL);

CREATE UNIQUE INDEX operations_position_key ON public.operations USING btree (partition, "position");

CREATE INDEX operations_refers_to_idx ON public.operations USING btree (partition, refers_to, sequence) WHERE ((refers_to IS NOT NULL) AND (reason IS NULL));

CREATE UNIQUE INDEX operations_wallet_sequence_key ON public.operations USING btree (partition, wallet_id, sequence) WHERE (sequence IS NOT NULL);

CREATE INDEX operations_wallet_unsequenced_idx ON public.operations USING btree (partition, wallet_id, id) WHERE (sequence IS NULL);

CREATE INDEX wallets_client_idx ON public.wallets USING btree (client_id, opened_at, id);

CREATE INDEX wallets_opened_idx ON public.wallets USING btree (opened_at, id);

CREATE TRIGGER changes_refuse_change BEFORE DELETE OR UPDATE ON public.changes FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER changes_refuse_truncate BEFORE TRUNCATE ON public.changes FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER changes_seal BEFORE INSERT ON public.changes FOR EACH ROW EXECUTE FUNCTION public.seal_change();

CREATE TRIGGER conflicts_refuse_change BEFORE DELETE OR UPDATE ON public.conflicts FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER conflicts_refuse_truncate BEFORE TRUNCATE ON public.conflicts FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER conflicts_seal BEFORE INSERT ON public.conflicts FOR EACH ROW EXECUTE FUNCTION public.seal_conflict();

CREATE TRIGGER dead_letters_refuse_change BEFORE DELETE OR UPDATE ON public.dead_letters FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER dead_letters_refuse_truncate BEFORE TRUNCATE ON public.dead_letters FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER dead_letters_seal BEFORE INSERT ON public.dead_letters FOR EACH ROW EXECUTE FUNCTION public.seal_dead_letter();

CREATE TRIGGER operations_refuse_change BEFORE DELETE OR UPDATE ON public.operations FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER operations_refuse_truncate BEFORE TRUNCATE ON public.operations FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_owner_fkey FOREIGN KEY (owner) REFERENCES public.clients(id);

GRANT USAGE ON SCHEMA public TO monedero_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.account_balances TO monedero_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_keys TO monedero_service;

GRANT SELECT ON TABLE public.change_chains TO monedero_service;

GRANT SELECT ON TABLE public.changes TO monedero_service;

GRANT INSERT(chain) ON TABLE public.changes TO monedero_service;

GRANT INSERT(owner) ON TABLE public.changes TO monedero_service;

GRANT INSERT(key_id) ON TABLE public.changes TO monedero_service;

GRANT INSERT(operation_id) ON TABLE public.changes TO monedero_service;

GRANT INSERT(role) ON TABLE public.changes TO monedero_service;

GRANT INSERT(person) ON TABLE public.changes TO monedero_service;

GRANT INSERT(action) ON TABLE public.changes TO monedero_service;

GRANT INSERT(about) ON TABLE public.changes TO monedero_service;

GRANT INSERT(reason) ON TABLE public.changes TO monedero_service;

GRANT INSERT(request_id) ON TABLE public.changes TO monedero_service;

GRANT INSERT(before) ON TABLE public.changes TO monedero_service;

GRANT INSERT(after) ON TABLE public.changes TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.clients TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.conflicts TO monedero_service;

GRANT SELECT ON TABLE public.dead_letter_resolutions TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.dead_letters TO monedero_service;

GRANT SELECT ON TABLE public.dead_letter_states TO monedero_service;

GRANT SELECT ON TABLE public.deployment TO monedero_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.holds TO monedero_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.mandates TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.merchants TO monedero_service;

GRANT UPDATE(suspended) ON TABLE public.merchants TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.operations TO monedero_service;

GRANT SELECT ON TABLE public.movements TO monedero_service;

GRANT SELECT,UPDATE ON TABLE public.partition_progress TO monedero_service;

GRANT SELECT ON TABLE public.progress_changes TO monedero_service;

GRANT SELECT,INSERT ON TABLE public.verifications TO monedero_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.wallets TO monedero_service;
