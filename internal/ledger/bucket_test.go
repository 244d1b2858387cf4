package ledger

import (
	"strconv"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

// The vectors of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2OfKafka(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(text))); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func validPartitions() []int {
	var all []int
	for n := 1; n <= Buckets; n *= 2 {
		all = append(all, n)
	}
	return all
}

// A producer that partitions by Kafka's rule over the wallet's text agrees with
// us, whatever the number of partitions; and so does the operation's ID.
func TestPartitionIsKafkas(t *testing.T) {
	t.Parallel()
	partitions := make([]int, Buckets)
	for i := range partitions {
		partitions[i] = i
	}
	minter, err := NewMinter([]byte(strings.Repeat("s", SecretBytes)))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := WalletID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "wallet"))
		id := minter.OperationID(Identity{Kind: KindCharge, Wallet: w, Source: SourceKey, Value: rapid.String().Draw(t, "key")})
		if id.Bucket() != w.Bucket() {
			t.Fatalf("bucket %d of the operation, %d of its wallet", id.Bucket(), w.Bucket())
		}
		for _, n := range validPartitions() {
			want := kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: []byte(w.String())}, partitions[:n]...)
			if got := w.Partition(n); got != want {
				t.Fatalf("partition %d of %d, want %d", got, n, want)
			}
			if got := id.Partition(n); got != want {
				t.Fatalf("partition %d of %d by the operation's ID, want %d", got, n, want)
			}
			if next := w.Partition(2 * n); n < Buckets && next != want && next != want+n {
				t.Fatalf("a split into %d moves the wallet from %d to %d", 2*n, want, next)
			}
		}
	})
}

// murmur2 reads four bytes at a time: texts of every length up to 64 against
// another implementation.
func TestMurmur2OfEveryLength(t *testing.T) {
	t.Parallel()
	partitions := make([]int, 1<<20)
	for i := range partitions {
		partitions[i] = i
	}
	for length := range 65 {
		key := []byte(strings.Repeat("\xf0z\x01", 22)[:length])
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, partitions...)
		if got := int(murmur2(key)&0x7fffffff) % len(partitions); got != want {
			t.Errorf("%d bytes: %d, want %d", length, got, want)
		}
	}
}

func TestValidPartitions(t *testing.T) {
	t.Parallel()
	valid := map[int]bool{}
	for _, n := range validPartitions() {
		valid[n] = true
	}
	for n := -Buckets; n <= 2*Buckets; n++ {
		if ValidPartitions(n) != valid[n] {
			t.Fatalf("%d partitions: valid %t, want %t", n, ValidPartitions(n), valid[n])
		}
	}
	if len(valid) != 17 {
		t.Errorf("%d valid numbers, want 17", len(valid))
	}
}

// Wallets spread evenly: of 16 partitions none has twice its share or less than
// half of it.
func TestBucketsSpread(t *testing.T) {
	t.Parallel()
	const wallets, n = 16_000, 16
	minter, err := NewMinter([]byte(strings.Repeat("s", SecretBytes)))
	if err != nil {
		t.Fatal(err)
	}
	var count [n]int
	for i := range wallets {
		count[WalletID(minter.ResourceID("wallet", "operator", strconv.Itoa(i))).Partition(n)]++
	}
	for p, c := range count {
		if c < wallets/n/2 || c > wallets/n*2 {
			t.Errorf("partition %d has %d wallets of %d", p, c, wallets)
		}
	}
}
