package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/service"
)

// topicFlags say which topic to make, or which cluster to bind to.
type topicFlags struct {
	partitions, replication int
	cluster, reason         string
	yes, anySettings        bool
}

func newTopics(environ []string) *cobra.Command {
	var f topicFlags
	create := &cobra.Command{
		Use:   "create",
		Short: "Make the topic and bind the database to it",
		Long: withEnvironment[config.Admin](`Makes the topic in Kafka and binds the database to it: its name, its number of
partitions, the cluster, the consumer group of the processors, and a check value of the
secret. The database is asked first: where it belongs to something else, nothing is made.
The same command again changes nothing.

A topic that is there already is refused where its settings can lose a charge, and
also where they are not what this command would choose: with --any-settings only
the former. A retention that was chosen for the topic is taken.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return createTopic(cmd, environ, f) },
	}
	create.Flags().IntVar(&f.partitions, "partitions", 0,
		fmt.Sprintf("how many partitions: a power of two; for ever (default: as many as the database says, or %d)", service.DefaultPartitions))
	create.Flags().IntVar(&f.replication, "replication", 0, "how many replicas of each partition; 0: as many as there are brokers now, three at most")
	bind := &cobra.Command{
		Use:   "bind",
		Short: "Bind the database to another Kafka cluster",
		Long: withEnvironment[config.Admin](`Binds the database to the Kafka cluster that KAFKA_BROKERS lead to, instead of the
one before, and makes the topic there where it is missing. Read
docs/playbooks/another-cluster.md first: what was answered 202 and is not settled
lies in the cluster before, and stays pending until its sender submits it again.
Stop every ingest and processor first. Each partition halts afterwards, since its
log is another one, until its progress is set with --new-log.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return bindCluster(cmd, environ, f) },
	}
	bind.Flags().StringVar(&f.cluster, "cluster", "", "ID of the cluster, which must be that of KAFKA_BROKERS")
	bind.Flags().IntVar(&f.replication, "replication", 0, "of a topic that is made: as with create")
	bind.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	for _, c := range []*cobra.Command{create, bind} {
		c.Flags().BoolVar(&f.anySettings, "any-settings", false, "take a topic that is there with settings that can be had better, such as one replica")
	}
	bindGroup := &cobra.Command{
		Use:   "group",
		Short: "Bind the database to another consumer group",
		Long: withEnvironment[config.Admin](`Lets the processors share the partitions by the consumer group at KAFKA_GROUP, and
by no other: two groups would take every partition from each other for ever.
Positions do not hang on the group. All processors must be stopped. monedero audit --changes
shows who did so, and why.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return rebindGroup(cmd, environ, f) },
	}
	for _, c := range []*cobra.Command{bind, bindGroup} {
		c.Flags().StringVar(&f.reason, "reason", "", "why; it is recorded")
	}
	return group("topics", "Make the topic that charges go through, and say who settles it", create, bind, bindGroup)
}

func rebindGroup(cmd *cobra.Command, environ []string, f topicFlags) error {
	reason, err := parseReason(f.reason)
	if err != nil {
		return misuse(err)
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return err
	}
	before, err := postgres.BindGroup(cmd.Context(), c.DatabaseURL.Reveal(), string(c.KafkaGroup), whoRuns(), reason)
	if err != nil {
		return err
	}
	cmd.Printf("the database belongs to the consumer group %s (before: %s)\n", c.KafkaGroup, before)
	return nil
}

func createTopic(cmd *cobra.Command, environ []string, f topicFlags) error {
	if f.partitions != 0 && !ledger.ValidPartitions(f.partitions) {
		return misuse(fmt.Errorf("--partitions must be a power of two from 1 to %d", ledger.Buckets))
	}
	t, err := f.topic(environ)
	if err != nil {
		return err
	}
	partitions, err := service.CreateTopic(cmd.Context(), t)
	if err != nil {
		return err
	}
	cmd.Printf("topic %s has %d partitions, and the database belongs to it\n", t.Name, partitions)
	return nil
}

func bindCluster(cmd *cobra.Command, environ []string, f topicFlags) error {
	reason, missing := parseReason(f.reason)
	if f.cluster == "" {
		missing = errors.Join(errors.New("--cluster must be given: the ID of the cluster to bind to"), missing)
	}
	if missing != nil {
		return misuse(missing)
	}
	t, err := f.topic(environ)
	if err != nil {
		return err
	}
	if err := confirm(cmd, f.yes, fmt.Sprintf("Bind the database to the cluster %q, and give up what is not settled in the one before?", f.cluster)); err != nil {
		return err
	}
	before, err := service.BindCluster(cmd.Context(), t, f.cluster, whoRuns(), reason)
	if err != nil {
		return err
	}
	cmd.Printf("the database belonged to the cluster %s, and belongs to %s now; each partition halts until its progress is set "+
		"with --new-log (docs/playbooks/another-cluster.md)\n", before, f.cluster)
	return nil
}

func (f topicFlags) topic(environ []string) (service.Topic, error) {
	if f.replication < 0 {
		return service.Topic{}, misuse(fmt.Errorf("--replication must not be negative"))
	}
	c, err := load[config.Admin](environ)
	if err != nil {
		return service.Topic{}, err
	}
	minter, err := ledger.NewMinter([]byte(c.OperationIDSecret.Reveal()))
	if err != nil {
		return service.Topic{}, misuse(err)
	}
	return service.Topic{
		Name: string(c.KafkaTopic), Group: string(c.KafkaGroup), Partitions: f.partitions, Replication: f.replication, AnySettings: f.anySettings,
		DatabaseURL: c.DatabaseURL.Reveal(), Brokers: c.KafkaBrokers, Minter: minter,
	}, nil
}
