package service

import "testing"

func TestConnectionsWithin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		files uint64
		want  int // 0: refused
	}{{256, 0}, {831, 0}, {832, 64}, {1024, 256}, {4096, 1640}, {1 << 63, 1640}} {
		if got, err := connectionsWithin(tt.files); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("of %d files: %d, %v, want %d", tt.files, got, err, tt.want)
		}
	}
}
