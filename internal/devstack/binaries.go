package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// oldestPostgres is the oldest major version that we start.
const oldestPostgres = 15

// binaries are the programs of one Postgres version.
type binaries struct {
	dir    string // where initdb and postgres are
	major  int
	source string // for people
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// usualPlaces are where packages put the programs: Debian and Ubuntu, Red Hat (the
// project's packages, then its own), Homebrew on ARM and on Intel, Postgres.app.
func usualPlaces() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/opt/homebrew/opt/postgresql/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
}

// findBinaries looks into the folders of the first group, then into those of the
// next, and takes the newest of a group. It passes over versions that are too old
// and, if want is not 0, over every other version. ok is false if nothing suits.
func findBinaries(ctx context.Context, u *unprivileged, want int, groups ...[]string) (found binaries, ok bool) {
	for _, dirs := range groups {
		for _, dir := range dirs {
			b, err := inspectBinaries(ctx, u, dir)
			if err == nil && b.major >= oldestPostgres && (want == 0 || b.major == want) && b.major > found.major {
				found = b
			}
		}
		if found.major > 0 {
			return found, true
		}
	}
	return binaries{}, false
}

// inPath is the folder of PATH that has the programs, if any.
func inPath() []string {
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(initdb)}
}

func existing(patterns []string) []string {
	var dirs []string
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // the patterns are well formed
		dirs = append(dirs, found...)
	}
	return dirs
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspectBinaries asks the programs in dir, as the user that is to run them, for
// their version.
func inspectBinaries(ctx context.Context, u *unprivileged, dir string) (binaries, error) {
	b := binaries{dir: dir, source: "installed binaries in " + dir}
	for _, program := range []string{"initdb", "postgres"} {
		out, err := command(ctx, u, "/", b.path(program), "--version").Output()
		if err != nil {
			return binaries{}, fmt.Errorf("run %s: %w", b.path(program), err)
		}
		m := versionText.FindSubmatch(out)
		if m == nil {
			return binaries{}, fmt.Errorf("run %s: unknown version %q", b.path(program), out)
		}
		b.major, _ = strconv.Atoi(string(m[1]))
	}
	return b, nil
}

// command is a program of Postgres run as u, free of what our environment says
// about Postgres and language.
func command(ctx context.Context, u *unprivileged, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "LD_LIBRARY_PATH=" + os.Getenv("LD_LIBRARY_PATH")}
	cmd.SysProcAttr = processAttributes(u)
	cmd.WaitDelay = connectTimeout // for children that keep its output open
	return cmd
}

// downloadBinaries fetches Postgres of the version wanted (0: the newest) into a
// cache folder, unless it is there already.
func downloadBinaries(ctx context.Context, u *unprivileged, want int) (binaries, error) {
	versions := map[int]embedded.PostgresVersion{
		0: embedded.V18, 15: embedded.V15, 16: embedded.V16, 17: embedded.V17, 18: embedded.V18,
	}
	version, ok := versions[want]
	if !ok {
		return binaries{}, fmt.Errorf("there is no download of postgres %d", want)
	}
	cache, err := cacheDir()
	if err != nil {
		return binaries{}, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return binaries{}, fmt.Errorf("make cache folder: %w", err)
	}
	held, err := awaitLock(ctx, cache)
	if err != nil {
		return binaries{}, err
	}
	defer held.release() //nolint:errcheck // it ends with the process at the latest
	home := filepath.Join(cache, "postgres-"+string(version))
	b, err := inspectBinaries(ctx, u, filepath.Join(home, "bin"))
	if err != nil {
		if b, err = fetchBinaries(ctx, u, version, cache, home); err != nil {
			return binaries{}, fmt.Errorf("download postgres %s: %w", version, err)
		}
	}
	b.source = "downloaded binaries in " + b.dir
	return b, nil
}

// fetchBinaries lets the library download and unpack. The library cannot stop
// there: it goes on to a database of its own in a temporary folder. We stop that
// again; as root its initdb refuses. Either way the programs are there, and
// whether they are is what counts. They get their place when all of them are.
func fetchBinaries(ctx context.Context, u *unprivileged, version embedded.PostgresVersion, cache, home string) (binaries, error) {
	scratch, err := os.MkdirTemp(cache, "unpack-*")
	if err != nil {
		return binaries{}, fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder
	if err := os.Chmod(scratch, 0o755); err != nil {
		return binaries{}, fmt.Errorf("open temporary folder: %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return binaries{}, err
	}
	unpacked := filepath.Join(scratch, "postgres")
	db := embedded.NewDatabase(embedded.DefaultConfig().
		Version(version).
		CachePath(cache).
		BinariesPath(unpacked).
		RuntimePath(filepath.Join(scratch, "run")).
		DataPath(filepath.Join(scratch, "run", "data")).
		Port(uint32(port)).
		Logger(io.Discard))
	startErr := db.Start()
	http.DefaultClient.CloseIdleConnections() // it downloads with that client
	if startErr == nil {
		if err := db.Stop(); err != nil {
			return binaries{}, fmt.Errorf("stop the database that came with the download: %w", err)
		}
	}
	if _, err := inspectBinaries(ctx, u, filepath.Join(unpacked, "bin")); err != nil {
		return binaries{}, errors.Join(startErr, err)
	}
	if err := os.Rename(unpacked, home); err != nil {
		return binaries{}, fmt.Errorf("place the download: %w", err)
	}
	return inspectBinaries(ctx, u, filepath.Join(home, "bin"))
}

// cacheDir is where downloads are kept; root's lies where an unprivileged user can
// reach it.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/monedero", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "monedero"), nil
}
