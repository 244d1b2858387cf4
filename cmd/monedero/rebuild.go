package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
)

// everyPartition is what --partition says by default.
const everyPartition = -1

func newRebuild(environ []string) *cobra.Command {
	partition := everyPartition
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make balances and wallets anew from the history",
		Long: withEnvironment[config.Store](`Makes every projection of the history anew, in place: wallets and account
balances. One partition after the other, each in one transaction, which holds off
what is to be settled there meanwhile; freezing and the like answer 503 if they
wait for longer than a second. It is run by the owner of the schema. It prints
how many rows were not as the history has them.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return rebuild(cmd, environ, partition) },
	}
	c.Flags().IntVar(&partition, "partition", everyPartition, "only this one; -1: all")
	return c
}

func rebuild(cmd *cobra.Command, environ []string, partition int) error {
	if partition < everyPartition {
		return misuse(fmt.Errorf("--partition must not be negative"))
	}
	c, err := load[config.Store](environ)
	if err != nil {
		return err
	}
	var only []int
	if partition != everyPartition {
		only = []int{partition}
	}
	return postgres.Rebuild(cmd.Context(), c.DatabaseURL.Reveal(), only, func(r postgres.Rebuilt) {
		cmd.Printf("partition %d: %d wallets, %d of them changed; %d open holds, %d of them changed; %d mandates, %d of them changed; %d balances, %d of them changed\n",
			r.Partition, r.Wallets, r.WalletsChanged, r.Holds, r.HoldsChanged, r.Mandates, r.MandatesChanged, r.Balances, r.BalancesChanged)
	})
}
