package ledger

import "encoding/binary"

// Buckets is how many buckets there are. A number of partitions must be a power
// of two that divides it.
const Buckets = 1 << 16

// Bucket is the 16-bit hash of the wallet's canonical text. It decides the
// partition and is part of every operation ID.
func (id WalletID) Bucket() uint16 {
	return uint16(murmur2([]byte(id.String())) & 0x7fffffff % Buckets)
}

// Bucket is the bucket of the operation's wallet.
func (id OperationID) Bucket() uint16 { return binary.BigEndian.Uint16(id[:2]) }

// Partition is the partition, of n, that holds the wallet's operations.
func (id WalletID) Partition(n int) int { return int(id.Bucket()) % n }

// Partition is the partition, of n, that holds the operation.
func (id OperationID) Partition(n int) int { return int(id.Bucket()) % n }

// ValidPartitions reports whether a topic may have n partitions: a power of two
// that divides [Buckets], so that a split into 2n moves a wallet from p only to
// p or p + n.
func ValidPartitions(n int) bool { return n > 0 && n <= Buckets && n&(n-1) == 0 }

// murmur2 is the hash of Kafka's default partitioner, so that other producers
// that hash the key agree with us on the partition.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>r) * m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
