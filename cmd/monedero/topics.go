package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/service"
)

func newTopics(environ []string) *cobra.Command {
	var partitions, replication int
	var anySettings bool
	create := &cobra.Command{
		Use:   "create",
		Short: "Make the topic and bind the database to it",
		Long: withEnvironment[config.Admin](`Makes the topic in Kafka and binds the database to it: its name, its number of
partitions, the cluster, the consumer group of the processors, and a check value
of the secret. The same command again changes nothing.

A topic that is there already is refused where its settings can lose a charge, and
also where they are not what this command would choose: with --any-settings only
the former. A retention that was chosen for the topic is taken.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return createTopic(cmd, environ, partitions, replication, anySettings)
		},
	}
	create.Flags().IntVar(&partitions, "partitions", 16, "how many partitions: a power of two; for ever")
	create.Flags().IntVar(&replication, "replication", 0, "how many replicas of each partition; 0: as many as there are brokers now, three at most")
	create.Flags().BoolVar(&anySettings, "any-settings", false, "take a topic that is there with settings that can be had better, such as one replica")
	bindGroup := &cobra.Command{
		Use:   "group",
		Short: "Bind the database to another consumer group",
		Long: withEnvironment[config.Admin](`Lets the processors share the partitions by the consumer group at KAFKA_GROUP, and
by no other: two groups would take every partition from each other for ever.
Positions do not hang on the group. All processors must be stopped.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return rebindGroup(cmd, environ) },
	}
	return group("topics", "Make the topic that charges go through, and say who settles it", create, bindGroup)
}

func rebindGroup(cmd *cobra.Command, environ []string) error {
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	before, err := postgres.BindGroup(cmd.Context(), c.DatabaseURL.Reveal(), string(c.KafkaGroup))
	if err != nil {
		return err
	}
	cmd.Printf("the database belongs to the consumer group %s (before: %s)\n", c.KafkaGroup, before)
	return nil
}

func createTopic(cmd *cobra.Command, environ []string, partitions, replication int, anySettings bool) error {
	if !ledger.ValidPartitions(partitions) {
		return misuse(fmt.Errorf("--partitions must be a power of two from 1 to %d", ledger.Buckets))
	}
	if replication < 0 {
		return misuse(fmt.Errorf("--replication must not be negative"))
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	minter, err := ledger.NewMinter([]byte(c.OperationIDSecret.Reveal()))
	if err != nil {
		return misuse(err)
	}
	if err := service.CreateTopic(cmd.Context(), service.Topic{
		Name: string(c.KafkaTopic), Group: string(c.KafkaGroup), Partitions: partitions, Replication: replication, AnySettings: anySettings,
		DatabaseURL: c.DatabaseURL.Reveal(), Brokers: c.KafkaBrokers, Minter: minter,
	}); err != nil {
		return err
	}
	cmd.Printf("topic %s has %d partitions, and the database belongs to it\n", c.KafkaTopic, partitions)
	return nil
}
