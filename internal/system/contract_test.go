package system

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var contractTools = flag.String("contract.tools", "", "folder with the Python tools that TestContract runs; see make contract")

const (
	contractFiles   = "testdata/contract"
	contractTimeout = 5 * time.Minute // of one tool
)

// contract is a system with something of everything, and its document.
type contract struct {
	*stack
	work     string // folder with a copy of the files and of the document
	base     string
	wallet   string
	keys     map[string]string // of each role
	existing map[string]string // what the tools are told of
}

// TestContract has tools try the OpenAPI document: clients that two generators
// make of it charge, wait and read, and schemathesis looks for what the API does
// and the document does not say, under a key of each role. make contract brings the tools.
func TestContract(t *testing.T) {
	if *contractTools == "" {
		t.Skip("the tools come from PyPI: make contract")
	}
	c := newContract(t)
	t.Run("oapi-codegen", func(t *testing.T) {
		folder := filepath.Join(c.work, "go")
		c.tool(t, folder, nil, "go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", "../openapi.json")
		c.charged(t, "INV-GO", c.tool(t, folder, c.asMerchant(), "go", "run", "."))
	})
	t.Run("openapi-python-client", func(t *testing.T) {
		c.tool(t, c.work, nil, "openapi-python-client", "generate", "--path", "openapi.json", "--output-path", "monedero", "--meta", "none", "--config", "openapi-python-client.yaml", "--fail-on-warning")
		c.charged(t, "INV-PYTHON", c.tool(t, c.work, c.asMerchant(), "python", "charge.py"))
	})
	t.Run("schemathesis", func(t *testing.T) {
		template, err := os.ReadFile(filepath.Join(c.work, "schemathesis.toml"))
		if err != nil {
			t.Fatal(err)
		}
		for role, key := range c.keys {
			t.Run(role, func(t *testing.T) {
				t.Parallel()
				settings := os.Expand(string(template), func(name string) string {
					value, ok := c.existing[name]
					if name == "API_KEY" {
						value, ok = key, true
					}
					if !ok {
						t.Errorf("schemathesis.toml asks for %s", name)
					}
					return value
				})
				file := filepath.Join(c.work, role+".toml")
				if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Log(c.tool(t, c.work, nil, "schemathesis", "--config-file", file, "run", c.base+"/openapi.json", "--checks", "all"))
			})
		}
	})
}

func newContract(t *testing.T) *contract {
	t.Helper()
	s := newStack(t, 4)
	s.processor()
	_, operator := s.ingest()
	shop := operator.open()
	wallet := shop.wallet()
	operator.topUp(wallet, 1000)
	client := operator.create("/v1/api-keys", map[string]any{"role": "client", "client_id": shop.client, "name": "app"}).Secret
	c := &contract{
		stack: s, work: t.TempDir(), base: operator.base, wallet: wallet,
		keys: map[string]string{"operator": operator.key, "merchant": shop.till.key, "client": client},
	}
	operation, err := shop.till.charge(t.Context(), wallet, "first", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(c.work, os.DirFS(contractFiles)); err != nil {
		t.Fatal(err)
	}
	c.existing = map[string]string{
		"HOOKS": filepath.Join(c.work, "hooks.py"), "WALLET": wallet, "CLIENT": shop.client, "MERCHANT": shop.merchant, "OPERATION": operation,
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := operator.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var document bytes.Buffer
	if _, err := document.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.work, "openapi.json"), document.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *contract) asMerchant() []string {
	return []string{"API_URL=" + c.base, "API_KEY=" + c.keys["merchant"], "WALLET=" + c.wallet}
}

// tool runs a tool in the folder and returns what it printed; what it prints besides is
// shown where it fails.
func (c *contract) tool(t *testing.T, folder string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), contractTimeout)
	defer cancel()
	if name != "go" {
		name = filepath.Join(*contractTools, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	// The generator looks for ruff, which lies beside it.
	cmd.Env = slices.Concat(os.Environ(), []string{"PATH=" + *contractTools + string(os.PathListSeparator) + os.Getenv("PATH")}, env)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", filepath.Base(name), strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// charged fails the test unless the client printed an accepted charge of the invoice, and
// the API knows it.
func (c *contract) charged(t *testing.T, invoice, printed string) {
	t.Helper()
	var said struct{ ID, Status, Invoice string }
	if err := json.Unmarshal([]byte(printed), &said); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	operator := newAPI(t, c.base, c.keys["operator"])
	status, o, err := operator.call(t.Context(), http.MethodGet, "/v1/operations/"+said.ID, nil, nil)
	if err != nil || status != http.StatusOK || o.Status != "accepted" || said.Status != "accepted" || said.Invoice != invoice {
		t.Errorf("the client printed %s; the API knows %d %+v, %v", printed, status, o, err)
	}
}
