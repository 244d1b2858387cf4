package postgres

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

// The statements that name the columns of an operation.
//
//nolint:gochecknoglobals // written out once, and then only read
var (
	decidedSQL           = expand(decidedText)
	listWalletSQL        = expand(listWalletText)
	listWalletInvoiceSQL = expand(listWalletInvoiceText)
	listMerchantSQL      = expand(listMerchantText)
	listInvoiceSQL       = expand(listInvoiceText)
	listIDsSQL           = expand(listIDsText)
	statementSQL         = expand(statementText)
	walletStatesSQL      = expand(walletStatesText)
	operationsAtSQL      = expand(operationsAtText)
	verifyOperationsSQL  = expand(verifyOperationsText)
	verifyUnsequencedSQL = expand(verifyUnsequencedText)
	writeOperationsSQL   = expand(writeOperationsText)
	rebuildHoldsSQL      = expand(rebuildHoldsText)
	verifyHoldsSQL       = expand(verifyHoldsText)
	rebuildMandatesSQL   = expand(rebuildMandatesText)
	verifyMandatesSQL    = expand(verifyMandatesText)
)

// expand writes out what the statements in queries/ leave to Go, so that each list stands
// in one place:
//
//	@row            the columns that COPY is given for an operation
//	@operation      the columns of an operation o
//	@decided        these, and what a reader needs besides
//	@whole          whether the parts of an operation o go together, as those of one that was settled do
//	@open           the open holds of the partition $1, as the history has them
//	@mandates       the mandates of the partition $1, as the history has them
//	@page(order)    the rows of a CTE page in that order: $1 at most, and none behind the one with which
//	                their texts reach $2 bytes; each with how many there were, and its found and ends
//	@walk           a page of what the filter finds in a CTE walked, whose rows are numbered. It ends with the
//	                one of the number $3, which says so. The filter, null where it says nothing: $4 kind, $5 whether
//	                it failed, $6 reason, decided from $7 on and before $8, $9 merchant ID, $10 invoice,
//	                $11 wallet ID
func expand(sql string) string {
	sql = walkMark.ReplaceAllLiteralString(sql, walkSQL)
	sql = pageMark.ReplaceAllString(sql, pageSQL)
	return strings.NewReplacer("@row", rowColumns, "@open", openHolds, "@mandates", givenMandates, "@decided", decidedColumns, "@whole", wholeRow, "@operation", columns("o.")).Replace(sql)
}

var (
	walkMark = regexp.MustCompile(`(?m)^@walk$`)
	pageMark = regexp.MustCompile(`@page\((.*)\)`)
)

const walkSQL = `,
page as (
  select *, number = $3 as ends
  from (
    select
      *,
      coalesce(
        ($4::text is null or kind = $4) and ($5::boolean is null or (reason is not null) = $5) and ($6::text is null or reason = $6)
          and ($7::timestamptz is null or decided_at >= $7) and ($8::timestamptz is null or decided_at < $8)
          and ($9::uuid is null or merchant_id = $9) and ($10::text is null or invoice = $10) and ($11::uuid is null or wallet_id = $11),
        false
      ) as found
    from walked
    where number <= $3
  ) seen
  where found or number = $3
)
@page(number)`

const pageSQL = `select
  @decided,
  o.rows, o.found, o.ends
from (
  select
    page.*, count(*) over () as rows,
    coalesce(sum(coalesce(octet_length(metadata), 0) + coalesce(octet_length(description), 0) + coalesce(octet_length(note), 0)) over (
      order by ${1} rows between unbounded preceding and 1 preceding
    ), 0) as bytes_before
  from (select * from page order by ${1} limit $$1) page
) o
where o.bytes_before < $$2
order by ${1}`

// decidedColumns are those of [decidedRow].
//
//nolint:gochecknoglobals // read only
var decidedColumns = columns("o.") + `,
  (select w.client_id from wallets w where w.partition = o.partition and w.id = o.wallet_id),
  (select m.name from merchants m where m.id = o.merchant_id),
  (
    select array[r.left_after, case when r.kind = 'expire' then r.moved else 0 end]
    from operations r
    where r.partition = o.partition and r.refers_to = o.id and r.refers_to is not null and r.reason is null
    order by r.sequence desc
    limit 1
  ),
  (
    select sum(r.moved)::bigint
    from operations r
    where r.partition = o.partition and r.refers_to = o.id and r.refers_to is not null and r.reason is null and r.kind = 'capture'
      and o.kind = 'hold'
  ),
  (select count(*) from conflicts c where c.partition = o.partition and c.operation_id = o.id)`

// wholeRow is what no operation that was decided can break, and what a seal does not tell: null in place of zero.
const wholeRow = `(
    num_nulls(o.log, o.log_offset) <> 1 and num_nulls(o.sequence, o.balance_after, o.limit_after, o.status_after) in (0, 4)
    and least(o.position, o.sequence, o.log) >= 1 and coalesce(o.log_offset, 0) >= 0
    and (num_nulls(o.kind, o.received_at, o.asker_role) = 0 or o.reason is not distinct from 'processing_error')
    and (o.duplicate_of is not null) = (o.reason is not distinct from 'duplicate_invoice')
    and (o.left_after is not null) = (o.refers_to is not null or o.mandate_limit is not null) and o.moved is distinct from 0
    and octet_length(o.fingerprint) = 32 and octet_length(o.digest) = 32
  )`

// openHolds are the accepted holds that no accepted operation ended, in the columns of the table holds.
const openHolds = `select
    o.decided_at + o.expires_in * interval '1 second' as expires_at, o.partition, o.id, o.wallet_id, o.merchant_id, o.invoice_key
  from operations o
  where o.partition = $1 and o.kind = 'hold' and o.reason is null and not exists (
    select 1
    from operations e
    where e.partition = $1 and e.refers_to = o.id and e.refers_to is not null and e.reason is null and e.left_after = 0
  )`

// givenMandates are the mandates that were ever given and what was used of them, in the columns of the table mandates. What
// a hold used is what was captured of it and what it holds still.
const givenMandates = `select
    g.wallet_id, g.merchant_id, g.given, t.max_amount, t.per_day, t.per_month, t.total, t.valid_until, coalesce(u.day, 0) as day,
    coalesce(u.used_on_day, 0) as used_on_day, coalesce(u.used_in_month, 0) as used_in_month, coalesce(u.used, 0) as used
  from (
    select distinct on (wallet_id, merchant_id) wallet_id, merchant_id, kind = 'grant' as given
    from operations
    where partition = $1 and kind in ('grant', 'revoke') and reason is null
    order by wallet_id, merchant_id, sequence desc
  ) g
  join (
    select distinct on (wallet_id, merchant_id) wallet_id, merchant_id, max_amount, per_day, per_month, total, valid_until
    from operations
    where partition = $1 and kind = 'grant' and reason is null
    order by wallet_id, merchant_id, sequence desc
  ) t on t.wallet_id = g.wallet_id and t.merchant_id = g.merchant_id
  left join (
    select
      wallet_id, merchant_id, max(day) as day, (sum(amount) filter (where day = last_day))::bigint as used_on_day,
      (sum(amount) filter (
        where date_trunc('month', date '1970-01-01' + day) = date_trunc('month', date '1970-01-01' + last_day)
      ))::bigint as used_in_month,
      sum(amount)::bigint as used
    from (
      select
        o.wallet_id, o.merchant_id, o.mandate_day as day, max(o.mandate_day) over (partition by o.wallet_id, o.merchant_id) as last_day,
        case when o.kind = 'hold' then coalesce(p.captured, 0) + coalesce(p.remains, o.amount) else o.amount end as amount
      from operations o
      left join lateral (
        select sum(moved) filter (where kind = 'capture') as captured, (array_agg(left_after order by sequence desc))[1] as remains
        from operations
        where partition = $1 and refers_to = o.id and refers_to is not null and reason is null and o.kind = 'hold'
      ) p on true
      where o.partition = $1 and o.mandate_day is not null
    ) each
    group by wallet_id, merchant_id
  ) u on u.wallet_id = g.wallet_id and u.merchant_id = g.merchant_id`

// rowColumns are those of [rows.operation], in its order.
//
//nolint:gochecknoglobals // read only
var rowColumns = "partition, invoice_key, " + columns("")

// columns names the columns of an operation.
func columns(prefix string) string {
	names := make([]string, len(ledger.OperationFields()))
	for i, f := range ledger.OperationFields() {
		names[i] = prefix + f.Column
	}
	return strings.Join(names, ", ")
}

// operationRow receives the columns of an operation. It is used again for the next row.
type operationRow struct{ read ledger.Operation }

func (r *operationRow) targets(more ...any) []any {
	fields := ledger.OperationFields()
	targets := make([]any, 0, len(fields)+len(more))
	for i := range fields {
		targets = append(targets, target(fields[i].Of(&r.read)))
	}
	return append(targets, more...)
}

func (r *operationRow) operation() ledger.Operation { return r.read }

// target scans a column into what a field points to; null as zero.
func target(field any) any {
	switch v := field.(type) {
	case *string:
		return (*textOrNull)(v)
	case *[16]byte:
		return (*uuidOrNull)(v)
	case *[32]byte:
		return (*hash)(v)
	case *int64:
		return (*int64OrNull)(v)
	case *int32:
		return (*int32OrNull)(v)
	case *time.Time:
		return (*timeOrNull)(v)
	}
	panic(fmt.Sprintf("a field of an operation has the type %T, which has no column", field))
}

type (
	textOrNull  string
	uuidOrNull  [16]byte
	hash        [32]byte
	int64OrNull int64
	int32OrNull int32
	timeOrNull  time.Time
)

// ScanText takes null for the empty text.
func (t *textOrNull) ScanText(v pgtype.Text) error {
	*t = textOrNull(v.String)
	return nil
}

// ScanUUID takes null for the zero ID.
func (t *uuidOrNull) ScanUUID(v pgtype.UUID) error {
	*t = v.Bytes
	return nil
}

// ScanBytes takes a hash of 32 bytes.
func (t *hash) ScanBytes(v []byte) error {
	*t = hash{}
	copy(t[:], v)
	return nil
}

// ScanInt64 takes null for zero.
func (t *int64OrNull) ScanInt64(v pgtype.Int8) error {
	*t = int64OrNull(v.Int64)
	return nil
}

// ScanInt64 takes null for zero.
func (t *int32OrNull) ScanInt64(v pgtype.Int8) error {
	*t = int32OrNull(v.Int64) //nolint:gosec // the column is an integer
	return nil
}

// ScanTimestamptz takes null for no time.
func (t *timeOrNull) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = timeOrNull(utc(v))
	return nil
}
