package kafka_test

import (
	"testing"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }
