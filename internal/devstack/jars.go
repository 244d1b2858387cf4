package devstack

import (
	"context"
	"crypto/sha256"
	_ "embed" // the list of jars
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Apache Kafka and what runs it.
const (
	// ApacheVersion is the version of Apache Kafka that [StartApache] runs.
	ApacheVersion = "4.1.1"
	oldestJava    = 17

	// MavenURL in the environment names another Maven repository, a mirror, than
	// Maven Central. HTTPS_PROXY is honoured too.
	MavenURL  = "MONEDERO_MAVEN_URL"
	mavenBase = "https://repo1.maven.org/maven2"

	downloads       = 6                // at the same time
	downloadTimeout = 10 * time.Minute // for all of the jars, 43 MB
	maxJar          = 64 << 20         // bytes
)

//go:embed apache.jars
var apacheJars string

// jar is a file of a Maven repository.
type jar struct{ sha256, place string }

func (j jar) name() string { return path.Base(j.place) }

// listJars reads a line "SHA-256 place" for each jar.
func listJars(text string) (jars []jar) {
	for line := range strings.Lines(text) {
		if hash, place, ok := strings.Cut(strings.TrimSpace(line), " "); ok && hash != "#" {
			jars = append(jars, jar{hash, place})
		}
	}
	return jars
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava is the java of JAVA_HOME, else that of PATH, if it is new enough.
func findJava(ctx context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	java, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("find java %d or newer, which runs Apache Kafka: %w", oldestJava, err)
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s -version: %w", java, err)
	}
	m := javaVersion.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("run %s -version: unknown version %q", java, out)
	}
	if version, _ := strconv.Atoi(string(m[1])); version < oldestJava {
		return "", fmt.Errorf("java %d in %s is too old for Apache Kafka: want %d or newer", version, java, oldestJava)
	}
	return java, nil
}

// fetchJars returns the folder in the cache that holds the jars, each of which had
// the right hash. It downloads them unless they are there; other processes that
// want them wait meanwhile.
func fetchJars(ctx context.Context, cache, base, list string) (string, error) {
	hash := sha256.Sum256([]byte(list))
	dir := filepath.Join(cache, "kafka-"+ApacheVersion+"-"+hex.EncodeToString(hash[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	held, err := awaitLock(ctx, cache)
	if err != nil {
		return "", err
	}
	defer held.release() //nolint:errcheck // it ends with the process at the latest
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // somebody else was faster
	}
	scratch, err := os.MkdirTemp(cache, "download-*")
	if err != nil {
		return "", fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", fmt.Errorf("open temporary folder: %w", err)
	}
	if err := downloadJars(ctx, base, listJars(list), scratch); err != nil {
		return "", fmt.Errorf("download Apache Kafka %s: %w (%s can name a mirror)", ApacheVersion, err, MavenURL)
	}
	// The folder gets its name last, so that there is either all of it or none.
	if err := os.Rename(scratch, dir); err != nil {
		return "", fmt.Errorf("place the download: %w", err)
	}
	return dir, nil
}

func downloadJars(ctx context.Context, base string, jars []jar, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	transport := http.DefaultTransport.(*http.Transport).Clone() // with the proxy of the environment
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(downloads)
	for _, j := range jars {
		group.Go(func() error {
			if err := j.download(ctx, client, base, filepath.Join(dir, j.name())); err != nil {
				return fmt.Errorf("%s: %w", j.name(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (j jar) download(ctx context.Context, client *http.Client, base, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/"+j.place, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", req.URL, resp.Status)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the Close that counts is below
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(resp.Body, maxJar)); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != j.sha256 {
		return fmt.Errorf("SHA-256 is %s instead of %s", got, j.sha256)
	}
	return f.Close()
}
