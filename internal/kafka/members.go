package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describegroups"
)

// Member is one member of a consumer group, as Kafka describes it.
type Member struct {
	ID, ClientID, Host string
	Topics             []string // that it subscribes to; none where it does not say so as consumers do
	Partitions         []int    // of the topic that was asked about
}

// Owner is whom the progress names as the owner of the member's partitions; ok only
// for a processor of ours.
func (m Member) Owner() (owner string, ok bool) { return strings.CutPrefix(m.ClientID, ClientIDPrefix) }

// Foreign reports whether the member is none of our processors, or wants another
// topic: what it is assigned nobody settles.
func (m Member) Foreign(topic string) bool {
	_, ours := m.Owner()
	return !ours || !slices.Contains(m.Topics, topic)
}

// String is who the member is, for people.
func (m Member) String() string {
	return fmt.Sprintf("%s (%s%s, topics %v)", m.ID, m.ClientID, m.Host, m.Topics)
}

// Members asks the group's coordinator who its members are, and which partitions of
// the topic each is assigned. A group that nobody knows has none.
func (c *Cluster) Members(ctx context.Context, group, topic string) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	// kafka-go's own DescribeGroups gives up on the whole group where one member speaks
	// a newer version of the consumers' protocol than it knows.
	answer, err := c.transport.RoundTrip(ctx, c.addr, &describegroups.Request{Groups: []string{group}})
	if err != nil {
		return nil, fmt.Errorf("describe group %s: %w", group, err)
	}
	described, ok := answer.(*describegroups.Response)
	if !ok || len(described.Groups) != 1 {
		return nil, fmt.Errorf("describe group %s: no answer", group)
	}
	g := described.Groups[0]
	if err := kafkago.Error(g.ErrorCode); g.ErrorCode != 0 && !errors.Is(err, kafkago.GroupIdNotFound) {
		return nil, fmt.Errorf("describe group %s: %w", group, err)
	}
	members := make([]Member, 0, len(g.Members))
	for _, m := range g.Members {
		member := Member{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost}
		member.Topics = subscribed(m.MemberMetadata)
		member.Partitions = assigned(m.MemberAssignment, topic)
		members = append(members, member)
	}
	return members, nil
}

// subscribed reads the topics of a consumer's metadata; what follows them differs by
// version. What is none has none.
func subscribed(metadata []byte) (topics []string) {
	r := wireReader{metadata}
	r.integer(2) // version
	for range r.count() {
		topic, ok := r.text()
		if !ok {
			return nil
		}
		topics = append(topics, topic)
	}
	return topics
}

// assigned reads the partitions of one topic out of a consumer's assignment.
func assigned(assignment []byte, topic string) (partitions []int) {
	r := wireReader{assignment}
	r.integer(2) // version
	for range r.count() {
		name, ok := r.text()
		if !ok {
			return partitions
		}
		for range r.count() {
			if p := r.integer(4); p >= 0 && name == topic {
				partitions = append(partitions, p)
			}
		}
	}
	return partitions
}

// wireReader reads what one consumer wrote for another. It never counts further than
// there are bytes left.
type wireReader struct{ left []byte }

// count is how many entries follow: no more than there are bytes.
func (r *wireReader) count() int { return min(max(r.integer(4), 0), len(r.left)) }

// integer reads one of size bytes; -1 where there is none.
func (r *wireReader) integer(size int) int {
	if len(r.left) < size {
		r.left = nil
		return -1
	}
	b := r.left[:size]
	r.left = r.left[size:]
	if size == 2 {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}

func (r *wireReader) text() (string, bool) {
	n := r.integer(2)
	if n < 0 || n > len(r.left) {
		return "", false
	}
	text := string(r.left[:n])
	r.left = r.left[n:]
	return text, true
}
