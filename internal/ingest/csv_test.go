package ingest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ledger"
)

// sheet is what a table says: a line for each row, by the names of the columns.
func sheet(t testing.TB, got answer) (rows []map[string]string) {
	t.Helper()
	got.want(t, http.StatusOK)
	if kind := got.header.Get("Content-Type"); kind != "text/csv; charset=utf-8; header=present" {
		t.Errorf("the type %q", kind)
	}
	lines, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatal(err, got.body)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			if line[i] != "" {
				row[name] = line[i]
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (a *api) csv(path string) answer {
	a.t.Helper()
	return a.do(http.MethodGet, path, headers{"Accept": "text/csv"}, "")
}

// asRow is what a table shall say of an object: each value that is not left out, under its path.
func asRow(prefix string, object map[string]any, row map[string]string, without ...string) map[string]string {
	for name, value := range object {
		switch v := value.(type) {
		case map[string]any:
			if name == "metadata" {
				text, _ := json.Marshal(v)
				row[prefix+name] = string(text)
				continue
			}
			asRow(prefix+name+"_", v, row, without...)
		default:
			if !slices.Contains(without, prefix+name) {
				row[prefix+name] = fmt.Sprint(v)
			}
		}
	}
	return row
}

// TestCSV compares the table of each list with its JSON, under every role.
func TestCSV(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 30)
	for i := range 5 {
		body := fmt.Sprintf(`{"amount":10,"currency":"EUR","invoice":"INV %d","description":"a \"quoted\", long\\ntext","metadata":{"a":"1","=b":"2"}}`, i)
		p.shop.post(p.charges(), headers{"Idempotency-Key": fmt.Sprint("k", i), "Prefer": "wait=30"}, strings.ReplaceAll(body, `\\n`, " ")).want(t, http.StatusOK)
	}
	s.operator.post("/v1/wallets/"+p.wallet+"/freeze", nil, `{"note":"a case"}`).want(t, http.StatusOK)
	for who, query := range map[*api]string{p.shop: "", p.payer: "", s.operator: "&wallet_id=" + p.wallet} {
		var want []map[string]string
		for _, o := range who.get("/v1/operations?limit=200"+query).want(t, http.StatusOK).get("data").([]any) {
			want = append(want, asRow("", o.(map[string]any), map[string]string{}, "object", "done", "failure_comment"))
		}
		if diff := cmp.Diff(want, sheet(t, who.csv("/v1/operations?limit=2"+query))); diff != "" || len(want) < 5 {
			t.Errorf("%.12q: the table (-JSON +CSV):\n%s", who.key, diff)
		}
	}
	path := "/v1/operations?wallet_id=" + p.wallet
	for accept, csv := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/csv": true, "text/csv, application/json;q=0.5": true,
		"text/csv;q=0.5, application/json": false, "text/html, text/csv;q=0.1": true,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			got := s.operator.do(method, path, headers{"Accept": accept}, "")
			if is := strings.HasPrefix(got.header.Get("Content-Type"), "text/csv"); is != csv || got.status != http.StatusOK || (method == http.MethodHead) != (got.body == "") {
				t.Errorf("%s, Accept %q: %d %v %q", method, accept, got.status, got.header, got.body)
			}
		}
	}
	// What has no table, and what is wrong, is JSON all the same.
	s.operator.csv("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
	if got := s.operator.csv("/v1/operations").want(t, http.StatusBadRequest); got.text("code") != "filter_required" {
		t.Errorf("a list that lacks a filter: %s", got.body)
	}
	if rows := sheet(t, s.operator.csv(path+"&kind=close")); len(rows) != 0 {
		t.Errorf("a table of nothing: %v", rows)
	}
}

// TestCSVHoldsNoFormulas: a text that a spreadsheet would run is one that it shows.
func TestCSVHoldsNoFormulas(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	texts := map[string]string{
		"=1+1": "'=1+1", "+1-1": "'+1-1", "-2+3": "'-2+3", "@SUM(A1)": "'@SUM(A1)", "＝1": "'＝1", "-5": "-5", "a=1": "a=1", "'=1": "'=1",
		`=HYPERLINK("http://x","y")`: `'=HYPERLINK("http://x","y")`,
	}
	want := map[string]bool{}
	for text, cell := range texts {
		quoted, _ := json.Marshal(text)
		p.shop.post(p.charges(), headers{"Prefer": "wait=30"}, fmt.Sprintf(`{"amount":1,"currency":"EUR","invoice":%s,"description":%s}`, quoted, quoted)).want(t, http.StatusOK)
		want[cell] = true
	}
	got := map[string]bool{}
	for _, row := range sheet(t, p.shop.csv("/v1/operations")) {
		got[row["invoice"]] = true
		if row["invoice"] != row["description"] {
			t.Errorf("%v", row)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// many stores so many operations of a wallet that is not there, behind the API's back.
func (s *stack) many(wallet string, n int) {
	id, err := ledger.ParseWalletID(wallet)
	if err != nil {
		s.t.Fatal(err)
	}
	s.exec(`insert into operations (position, seal, asker_role, amount, received_at, decided_at, partition, id, wallet_id, kind, reason, currency, fingerprint, digest, description)
		select 1000000 + n, 3, 'operator', 1, now(), now(), $1, gen_random_uuid(), $2, 'top_up', 'wallet_not_found', 'EUR', sha256(''), sha256(''), repeat('x', 100)
		from generate_series(1, $3::int) n`, id.Partition(partitions), [16]byte(id), n)
}

// TestCSVIsStreamed reads more than one read brings: whole, behind reads that have to wait for their turn, and broken off.
func TestCSVIsStreamed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const wallet, all = "wal_01hzy3v7k2m4n6p8q0r2s4t6v8", 2500
	s.many(wallet, all)
	path := "/v1/operations?wallet_id=" + wallet
	whole := func(why string) {
		t.Helper()
		ids := map[string]bool{}
		for _, row := range sheet(t, s.operator.csv(path)) {
			ids[row["id"]] = true
		}
		if len(ids) != all {
			t.Errorf("%s: %d operations, want %d", why, len(ids), all)
		}
	}
	whole("at once")
	s.db.behind.Store(busy)
	time.AfterFunc(300*time.Millisecond, func() { s.db.behind.Store(up) })
	whole("in turn")
	s.db.behind.Store(down)
	got, err := s.operator.try(t.Context(), http.MethodGet, path, headers{"Accept": "text/csv"}, "")
	if err == nil {
		t.Errorf("an answer that was broken off is taken for whole: %d, %d bytes", got.status, len(got.body))
	}
	s.db.state.Store(down)
	if got := s.operator.csv(path); got.status != http.StatusServiceUnavailable {
		t.Errorf("the database was down before the answer began: %d", got.status)
	}
}

var next = regexp.MustCompile(`^<(/v1/[^>]+)>; rel="next"$`)

// TestLinks follows the links of every list that has pages.
func TestLinks(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 10)
	for range 2 {
		s.people(fmt.Sprint("Bob ", time.Now()))
		s.operator.post("/v1/wallets", nil, `{"client_id":"`+p.client+`","currency":"EUR","charges":"anyone"}`).want(t, http.StatusCreated)
	}
	for _, list := range []string{
		"/v1/operations?wallet_id=" + p.wallet + "&to=" + url.QueryEscape("2100-01-01T00:00:00+01:00"), "/v1/clients/" + p.client + "/wallets",
		"/v1/clients", "/v1/merchants", "/v1/wallets", "/v1/api-keys", "/v1/audit?only=changes",
	} {
		whole := s.operator.get(list).want(t, http.StatusOK)
		if whole.header.Get("Link") != "" {
			t.Errorf("%s: there is no next page, but a link: %s", list, whole.header.Get("Link"))
		}
		want, got := whole.get("data").([]any), []any(nil)
		mark := "?"
		if strings.Contains(list, "?") {
			mark = "&"
		}
		for path := list + mark + "limit=1"; ; {
			page := s.operator.get(path).want(t, http.StatusOK)
			got = append(got, page.get("data").([]any)...)
			link := next.FindStringSubmatch(page.header.Get("Link"))
			if (link != nil) != (page.text("has_more") == "true") {
				t.Fatalf("%s: %q, has_more: %s", path, page.header.Get("Link"), page.text("has_more"))
			}
			if link == nil {
				break
			}
			path = link[1]
		}
		if len(want) < 2 || len(got) != len(want) {
			t.Errorf("%s: %d along the links, want %d", list, len(got), len(want))
		}
	}
}
