package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestFetchJars(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if strings.HasSuffix(r.URL.Path, "/missing.jar") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(r.URL.Path))
	}))
	t.Cleanup(server.Close)
	line := func(place string) string {
		hash := sha256.Sum256([]byte("/" + place))
		return hex.EncodeToString(hash[:]) + " " + place + "\n"
	}
	good := "# a comment\n" + line("org/a/1/a-1.jar") + line("org/b/2/b-2.jar")
	cache := filepath.Join(t.TempDir(), "cache")

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dir, err := fetchJars(t.Context(), cache, server.URL+"/", good)
			if err != nil {
				t.Error(err)
				return
			}
			for _, name := range []string{"a-1.jar", "b-2.jar"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times for two jars", n)
	}

	for name, list := range map[string]string{
		"another hash": strings.Replace(good, "org/b", "org/c", 1),
		"not there":    line("missing.jar"),
	} {
		if dir, err := fetchJars(t.Context(), cache, server.URL, list); err == nil {
			t.Errorf("%s: taken, in %s", name, dir)
		}
	}
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 { // the lock and the good ones
		t.Errorf("left in the cache: %v", left)
	}
}

func TestListOfJars(t *testing.T) {
	t.Parallel()
	jars := listJars(apacheJars)
	if len(jars) < 40 {
		t.Errorf("only %d jars", len(jars))
	}
	for _, j := range jars {
		if len(j.sha256) != 64 || !strings.HasSuffix(j.place, ".jar") {
			t.Errorf("jar %+v", j)
		}
	}
}
