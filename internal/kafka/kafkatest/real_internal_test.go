package kafkatest

import "testing"

func TestOwnBrokersTakeTurns(t *testing.T) {
	t.Run("three", func(t *testing.T) {
		takeTurns(t, 1)
		takeTurns(t, mostBrokers-1)
		if running.TryAcquire(1) {
			t.Error("one more may run")
		}
	})
	if !running.TryAcquire(mostBrokers) {
		t.Error("the test has ended, and its brokers still count")
	}
}
